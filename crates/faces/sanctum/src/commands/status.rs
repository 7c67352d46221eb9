//! `status`: what is wrong, each root once, and every component; the exit code is the worst one's.

use std::process::ExitCode;
use std::time::Duration;

use super::orders::failure;
use super::{Outcome, block_on, print_json};
use crate::arguments::Status;
use crate::output::Output;
use crate::place::Place;
use crate::view::status::{Casualties, exit_code, lines};

/// The time castellan may take to answer, before it is called unknown.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub(crate) fn run(place: &Place, output: &Output, options: Status) -> Outcome {
    let client = place.client().with_answer_max(ANSWER_MAX);
    let snapshot = block_on(async { client.snapshot().await.map_err(|error| failure(&error)) })?;
    if options.json {
        print_json(output, &snapshot)?;
    } else {
        let casualties = if options.all { Casualties::Listed } else { Casualties::Named };
        output.lines(lines(&snapshot, casualties, output.palette()));
    }
    Ok(ExitCode::from(exit_code(&snapshot)))
}
