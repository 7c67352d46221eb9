//! `explain`: why a component is not ready, from the root to it, and what would help.

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sanctum_plan::stack;
use sanctum_wire::{ClientError, Event};

use super::chitti::{Filter, last_events};
use super::orders::{failure, find};
use super::{Outcome, block_on, logs};
use crate::arguments::Explain;
use crate::failure::Failure;
use crate::output::{Output, Palette};
use crate::place::{self, Place};
use crate::view::explain::{Subject, lines, root_of};
use crate::view::{event, probe, status};

/// Events that are shown.
const EVENTS_SHOWN: usize = 10;
/// Lines of its log that are shown.
const LINES_SHOWN: usize = 10;
/// Names that are offered for one that is not known.
const NAMES_OFFERED_MAX: usize = 12;

pub(crate) fn run(place: &Place, output: &Output, options: &Explain) -> Outcome {
    let name = options.component.as_str();
    let client = place.client();
    let snapshot = match block_on(async { Ok(client.snapshot().await) })? {
        Ok(snapshot) => snapshot,
        Err(error) => return Err(without_castellan(place, output, name, &error)),
    };
    let Some(state) = find(&snapshot, name) else {
        let mut known: Vec<&str> =
            snapshot.components.iter().map(|state| state.name.as_str()).collect();
        known.sort_by_key(|other| !other.contains(name) && !name.contains(other));
        return Err(Failure::new(format!("castellan keeps no `{name}`"))
            .hint(format!("there are {}", crate::view::words::names(&known, NAMES_OFFERED_MAX))));
    };
    let root = root_of(&snapshot, state);
    let events = events(place, &root.name);
    let log_end = logs::last_lines(Path::new(&root.log), LINES_SHOWN).unwrap_or_default();
    let subject = Subject {
        snapshot: &snapshot,
        state,
        evidence: evidence(place, name),
        events: &events,
        log_end: &log_end,
        now_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0),
        zone: &TimeZone::system(),
    };
    output.lines(lines(&subject, output.palette()));
    Ok(ExitCode::from(status::code(state.severity())))
}

/// What its probe must show, as the manifest has it. Nothing is lost with it, so no manifest is no
/// failure here.
fn evidence(place: &Place, name: &str) -> String {
    let path = place.layout.manifest();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let Ok(loaded) = place::loaded(&path, text, Palette::Plain) else { return String::new() };
    let components = stack::components(&loaded.manifest, &place.layout);
    let component = components.into_iter().find(|component| component.name.as_str() == name);
    component.map_or_else(String::new, |component| probe::described(&component.readiness.probe))
}

fn events(place: &Place, name: &str) -> Vec<Event> {
    let filter = Filter { components: vec![name.to_owned()], ..Filter::default() };
    last_events(Path::new(&place.layout.chitti()), &filter, EVENTS_SHOWN).unwrap_or_default()
}

/// Castellan does not say; chitti and the log may.
fn without_castellan(place: &Place, output: &Output, name: &str, error: &ClientError) -> Failure {
    let mut failure = failure(error);
    let zone = TimeZone::system();
    let events = events(place, name);
    if !events.is_empty() {
        let shown = |it: &Event| format!("  {}", event::line(it, &zone, output.palette_err()));
        let shown: Vec<String> = events.iter().map(shown).collect();
        failure = failure.detail(format!("what last happened to {name}:\n{}", shown.join("\n")));
    }
    failure
}
