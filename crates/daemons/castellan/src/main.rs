//! `castellan`, the supervisor. Started by `sanctum up`; see `docs/operations.md`.

use std::path::PathBuf;
use std::process::ExitCode;

use castellan::{Aim, Config, Scope};
use clap::Parser;
use sanctum_model::ErrorChain;

/// Keeps the components of a manifest up, in order, and says what is true of them.
///
/// Exit codes: 0 stopped as told, 1 failed, 69 another castellan keeps this state directory,
/// 78 the manifest cannot be used.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The state directory.
    #[arg(long, env = "SANCTUM_HOME", value_name = "DIRECTORY")]
    home: PathBuf,
    /// The cache directory, where guest images are.
    #[arg(long, env = "SANCTUM_CACHE", value_name = "DIRECTORY")]
    cache: PathBuf,
    /// Leave the terminal's session, so that its end is not ours.
    #[arg(long)]
    own_session: bool,
    /// Keep what `[component.NAME]` declares, and of the system's own the dead-man's switch alone.
    #[arg(long)]
    only_declared: bool,
    /// Start nothing: stop in order what an earlier castellan left running, and end.
    #[arg(long)]
    end: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    sanctum_daemon::init_tracing();
    if arguments.own_session {
        // Refused only to the leader of a group, which has what this is for.
        rustix::process::setsid().ok();
    }
    let programs =
        std::env::current_exe().ok().and_then(|program| program.parent().map(PathBuf::from));
    let scope = if arguments.only_declared { Scope::Declared } else { Scope::All };
    let config = match Config::new(&arguments.home, &arguments.cache, programs.as_deref(), scope) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "cannot start");
            return ExitCode::from(error.exit_code());
        }
    };
    let aim = if arguments.end { Aim::End } else { Aim::Keep };
    match castellan::run(config, aim) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "castellan failed");
            ExitCode::from(error.exit_code())
        }
    }
}
