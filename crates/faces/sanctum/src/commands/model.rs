//! `model`: the store of local models.

use std::path::Path;
use std::process::ExitCode;

use super::Outcome;
use crate::arguments::Model;
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;

pub(crate) fn run(_place: &Place, _output: &Output, _command: Model) -> Outcome {
    Ok(ExitCode::SUCCESS)
}

/// Gets a seat's model if it is not there.
pub(crate) fn ensure(place: &Place, _output: &Output, model: &str) -> Result<(), Failure> {
    let file = place.layout.model_file(model);
    if Path::new(&file).is_file() {
        Ok(())
    } else {
        Err(Failure::new(format!("there is no `{file}`")))
    }
}
