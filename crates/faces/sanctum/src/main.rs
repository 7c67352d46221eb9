//! `sanctum`: the command line of the host plane.

mod arguments;
mod checks;
mod commands;
mod failure;
mod output;
mod place;
mod view;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::from_environment();
    match commands::run(arguments, &output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}
