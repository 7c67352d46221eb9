//! One module a command.

mod apply;
mod ask;
mod chitti;
mod doctor;
mod explain;
mod guest;
mod init;
mod logs;
mod model;
mod orders;
mod plan;
mod probe;
mod status;
mod sweep;
mod up;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;

pub(crate) use ask::{Hop, HopState, look_at_all};
pub(crate) use guest::{find_image, is_lima};

/// What a command gives back: its exit code, or why it failed.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Runs what was typed.
pub(crate) fn run(arguments: Arguments, output: &Output) -> Outcome {
    let place = Place::from_environment()?;
    match arguments.command {
        Command::Init(options) => init::run(&place, output, &options),
        Command::Plan(options) => plan::run(&place, output, options.json),
        Command::Up(options) => up::run(&place, output, &options),
        Command::Apply(options) => apply::run(&place, output, &options),
        Command::Down => orders::down(&place, output),
        Command::Status(options) => status::run(&place, output, options),
        Command::Explain(options) => explain::run(&place, output, &options),
        Command::Ask(options) => ask::run(&place, output, &options),
        Command::Logs(options) => logs::run(&place, output, &options),
        Command::Chitti(options) => chitti::run(&place, output, &options),
        Command::Start(named) => orders::start(&place, output, &named.component),
        Command::Stop(named) => orders::stop(&place, output, &named.component),
        Command::Restart(named) => orders::restart(&place, output, &named.component),
        Command::Guest(command) => guest::run(&place, output, command),
        Command::Model(command) => model::run(&place, output, command),
        Command::Doctor(options) => doctor::run(&place, output, options.json),
        Command::Sweep(options) => sweep::run(&place, output, options),
        Command::Probe(probe) => probe::run(&place, output, &probe),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sanctum", &mut script);
            output.data(String::from_utf8_lossy(&script).trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::ManPages { directory } => {
            std::fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(Arguments::command(), &directory))
                .map_err(|error| {
                    Failure::new(format!("cannot write `{}`: {error}", directory.display()))
                })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs the asynchronous part of a command on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(future)
}

/// Prints a value as JSON.
pub(crate) fn print_json(output: &Output, value: &impl serde::Serialize) -> Outcome {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::from_error(&error))?;
    output.data(json);
    Ok(ExitCode::SUCCESS)
}
