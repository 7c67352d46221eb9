//! `sanctum-mlx`: one local model, served over the OpenAI interface.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser as _;
use sanctum_daemon::init_tracing;
use sanctum_mlx::config::{Arguments, Config, ConfigError};
use sanctum_mlx::patience::set_patience;
use sanctum_mlx::{RunError, engine, run};
use sanctum_model::ErrorChain;

/// The command line is wrong.
const WRONG_USAGE: u8 = 64;
/// The model cannot be loaded.
const MODEL_UNUSABLE: u8 = 65;
/// The address cannot be bound.
const ADDRESS_UNAVAILABLE: u8 = 69;
/// The key cannot be read.
const KEY_UNREADABLE: u8 = 77;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { WRONG_USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    if arguments.engines {
        return match io::stdout().write_all(engine::engines().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let impatient = set_patience();
    init_tracing();
    if let Err(error) = impatient {
        tracing::warn!(%error, "cannot set how threads wait, a busy machine will answer slowly");
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let config = match Config::from_arguments(arguments, threads) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "cannot use the command line");
            return code_for_config(&error).into();
        }
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "sanctum-mlx failed");
            code_for_run(&error)
        }
    }
}

fn code_for_config(error: &ConfigError) -> u8 {
    match error {
        ConfigError::Key(_) | ConfigError::KeyName { .. } => KEY_UNREADABLE,
        ConfigError::NotLoopback(_)
        | ConfigError::NoModel
        | ConfigError::NoKey
        | ConfigError::Range { .. }
        | ConfigError::Name(_) => WRONG_USAGE,
    }
}

fn code_for_run(error: &RunError) -> ExitCode {
    match error {
        RunError::Start(_) | RunError::Template(_) => MODEL_UNUSABLE.into(),
        RunError::Bind { .. } => ADDRESS_UNAVAILABLE.into(),
        RunError::Runtime(_) | RunError::EngineEnded => ExitCode::FAILURE,
    }
}
