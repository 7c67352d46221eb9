//! `sweep`: one look at everything from outside, through the ports a person would use. It does not
//! believe castellan; it says where the two differ.

mod facts;
mod judge;
mod look;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sanctum_host::rotating;
use sanctum_model::ErrorChain;
use sanctum_plan::stack;
use sanctum_wire::Event;

use self::facts::Seen;
use super::{Outcome, print_json};
use crate::arguments::Sweep;
use crate::failure::Failure;
use crate::output::{Output, Palette};
use crate::place::{self, Loaded, Place};
use crate::view::sweep::{Report, exit_code, lines, summary};

pub(crate) fn run(place: &Place, output: &Output, options: Sweep) -> Outcome {
    let began = Instant::now();
    let deadline = began + Duration::from_secs(options.time);
    let loaded = in_force(place, output)?;
    let components = if options.only_declared {
        stack::declared_components(&loaded.manifest, &place.layout)
    } else {
        stack::components(&loaded.manifest, &place.layout)
    };
    let facts = look::look(place, &components, deadline);
    let count = |wanted: fn(&Seen) -> bool| {
        facts.components.iter().filter(|component| wanted(&component.seen)).count()
    };
    let report = Report {
        at_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        looked_at: count(|seen| *seen != Seen::Nothing),
        good: count(|seen| *seen == Seen::Good),
        findings: judge::findings(&facts),
    };
    write_down(place, output, &report);
    if options.json {
        print_json(output, &report)?;
    } else {
        output.lines(lines(&report, output.palette()));
    }
    Ok(ExitCode::from(exit_code(&report)))
}

/// The manifest that was last put in force; before there is one, the file as it is.
fn in_force(place: &Place, output: &Output) -> Result<Loaded, Failure> {
    let path = format!("{}/sanctum.last-good.toml", place.layout.home);
    let applied = fs::read_to_string(&path).ok();
    match applied.and_then(|text| place::loaded(&path, text, Palette::Plain).ok()) {
        Some(loaded) => Ok(loaded),
        None => place.load(output),
    }
}

/// One line of chitti. A journal that cannot be written is no reason not to tell.
fn write_down(place: &Place, output: &Output, report: &Report) {
    let event = Event {
        sequence: 0,
        at_ms: report.at_ms,
        component: "sanctum".to_owned(),
        what: "sweep".to_owned(),
        detail: summary(report),
    };
    let path = place.layout.chitti();
    let written =
        serde_json::to_string(&event).map_err(|error| error.to_string()).and_then(|line| {
            rotating::append(Path::new(&path), &line)
                .map_err(|error| ErrorChain(&error).to_string())
        });
    if let Err(error) = written {
        output.say(format!("the sweep is not written down: {error}"));
    }
}
