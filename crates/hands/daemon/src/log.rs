//! The log of a daemon: one line an event on standard error, which castellan collects.

use std::io;

use tracing_subscriber::EnvFilter;

/// Starts the log. `SANCTUM_LOG` filters it (`info` unless told; the syntax is `tracing`'s
/// directives, `warn,proxyd=debug`). A filter that cannot be read is replaced by `info`, and said.
///
/// Call once, in `main`.
pub fn init_tracing() {
    let wanted = std::env::var("SANCTUM_LOG").unwrap_or_else(|_| "info".to_owned());
    let (filter, fault) = match EnvFilter::try_new(&wanted) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    if let Some(error) = fault {
        tracing::warn!(filter = wanted, %error, "cannot read SANCTUM_LOG, using info");
    }
}
