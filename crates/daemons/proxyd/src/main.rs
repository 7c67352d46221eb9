//! proxyd: the LLM gateway. Callers with a key ask for models by name; seats answer.
//!
//! It passes bytes on with a typed head, reads no more of them than it must, and starts no
//! program. A stream that was cut never looks like one that ended.
//!
//! `proxyd --config FILE --secrets DIR`. Ready when the line `listening` with its address is in
//! the log. Ends with 0 when told to, 64 for arguments it does not understand, 78 for a
//! configuration or secrets it cannot use, 1 for anything else.

mod arguments;
mod attempt;
mod callers;
mod chat;
mod config;
mod gateway;
mod headers;
mod heartbeat;
mod record;
mod relay;
mod reply;
mod seats;
mod server;
mod setup;
mod tls;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sanctum_daemon::{Shutdown, init_tracing};
use sanctum_model::ErrorChain;
use tokio::net::TcpListener;

use arguments::Arguments;
use config::{Config, ConfigError};
use gateway::Gateway;

/// The time that running answers get when proxyd is told to end.
const GRACE: Duration = Duration::from_secs(10);
/// Exit code: the arguments are not understood (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// Exit code: the configuration or a secret cannot be used (`EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
}

fn main() -> ExitCode {
    init_tracing();
    let (config, secrets) = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Run { config, secrets }) => (config, secrets),
        Ok(Arguments::Say(text)) => return say(&text),
        Err(error) => {
            tracing::error!(%error, "cannot understand the arguments; try --help");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let config = match Config::load(&config) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    let setup = match setup::read(&config, &secrets) {
        Ok(setup) => setup,
        Err(errors) => {
            for error in &errors {
                tracing::error!(error = %ErrorChain(error), "cannot use the configuration");
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(&config, setup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "proxyd failed");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reports every fault on a line of its own.
fn refuse(error: &ConfigError) -> ExitCode {
    match error {
        ConfigError::Read { .. } => {
            tracing::error!(error = %ErrorChain(error), "cannot start");
        }
        ConfigError::Faults(faults) => {
            for fault in faults {
                tracing::error!(
                    line = fault.line,
                    fault = fault.message,
                    "cannot use the configuration"
                );
            }
        }
    }
    ExitCode::from(EXIT_CONFIG)
}

fn run(config: &Config, setup: setup::Setup) -> Result<(), RunError> {
    let runtime = tokio::runtime::Runtime::new().map_err(RunError::Runtime)?;
    let outcome = runtime.block_on(async {
        let address = config.listen;
        let unusable = |source| RunError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let shutdown = Shutdown::default();
        let gateway = Arc::new(Gateway::new(config, setup, address.port()));
        shutdown.spawn(heartbeat::beat(Arc::clone(&gateway), shutdown.token()));
        shutdown.spawn(server::serve(listener, gateway, shutdown.clone()));
        tracing::info!(%address, "listening");
        shutdown.on_signal(GRACE).await.map_err(RunError::Signals)
    });
    // A name lookup that still runs is not waited for.
    runtime.shutdown_background();
    outcome
}
