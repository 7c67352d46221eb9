//! `chitti`: what happened, from the event journal and its older files; castellan need not run.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use sanctum_host::rotating::{self, Follow};
use sanctum_wire::Event;

use super::Outcome;
use crate::arguments::Chitti;
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;
use crate::view::event;
use crate::when;

/// How many events are shown unless told.
const EVENTS_DEFAULT: usize = 40;
/// Lines from the end among which the events to follow are looked for, where only some are wanted.
const LINES_LOOKED_THROUGH: usize = 100_000;
/// How often a followed journal is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) since_ms: u64,
    pub(crate) until_ms: Option<u64>,
    pub(crate) components: Vec<String>,
    pub(crate) kinds: Vec<String>,
}

impl Filter {
    pub(crate) fn takes(&self, event: &Event) -> bool {
        let is_one_of =
            |wanted: &[String], word: &String| wanted.is_empty() || wanted.contains(word);
        event.at_ms >= self.since_ms
            && self.until_ms.is_none_or(|until| event.at_ms < until)
            && is_one_of(&self.components, &event.component)
            && is_one_of(&self.kinds, &event.what)
    }

    fn takes_all(&self) -> bool {
        let Self { since_ms, until_ms, components, kinds } = self;
        *since_ms == 0 && until_ms.is_none() && components.is_empty() && kinds.is_empty()
    }
}

/// A line of the journal that is wanted: as it stands there, and what it means.
struct Found {
    line: Vec<u8>,
    event: Event,
}

/// Picks the wanted events out of lines, and counts those that are none.
struct Reader<'f> {
    filter: &'f Filter,
    unreadable: usize,
}

impl Reader<'_> {
    fn read(&mut self, line: Vec<u8>) -> Option<Found> {
        let Ok(event) = serde_json::from_slice::<Event>(&line) else {
            self.unreadable += usize::from(!line.is_empty());
            return None;
        };
        self.filter.takes(&event).then_some(Found { line, event })
    }
}

pub(crate) fn run(place: &Place, output: &Output, options: &Chitti) -> Outcome {
    let now = Zoned::now();
    let moment =
        |text: &Option<String>| text.as_ref().map(|text| when::parse(text, &now)).transpose();
    let (since, until) = (moment(&options.since)?, moment(&options.until)?);
    let count = options.lines.unwrap_or(if since.is_some() { usize::MAX } else { EVENTS_DEFAULT });
    let filter = Filter {
        since_ms: since.unwrap_or(0),
        until_ms: until,
        components: options.components.clone(),
        kinds: options.kinds.clone(),
    };
    let path = place.layout.chitti();
    let unreadable = |error: io::Error| Failure::new(format!("cannot read `{path}`: {error}"));
    let mut printer = Printer { output, json: options.json, zone: TimeZone::system() };
    let mut reader = Reader { filter: &filter, unreadable: 0 };
    if options.follow {
        let looked_through = if filter.takes_all() { count } else { LINES_LOOKED_THROUGH };
        let (lines, mut follow) =
            Follow::begin(Path::new(&path), looked_through).map_err(unreadable)?;
        let found: Vec<Found> = lines.into_iter().filter_map(|line| reader.read(line)).collect();
        let first = found.len().saturating_sub(count);
        let mut is_read = printer.print(&found[first..]);
        let mut told = 0;
        while is_read {
            if reader.unreadable > told {
                tell_unreadable(output, reader.unreadable - told);
                told = reader.unreadable;
            }
            thread::sleep(FOLLOW_INTERVAL);
            let lines = follow.poll().map_err(unreadable)?;
            let found: Vec<_> = lines.into_iter().filter_map(|line| reader.read(line)).collect();
            is_read = printer.print(&found);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut found = VecDeque::new();
    for line in rotating::lines(Path::new(&path)).map_err(unreadable)? {
        match line {
            Ok(line) => found.extend(reader.read(line)),
            Err(error) => output.say(format!("a part of the journal cannot be read: {error}")),
        }
        if found.len() > count {
            found.pop_front();
        }
    }
    printer.print(found.make_contiguous());
    if reader.unreadable > 0 {
        tell_unreadable(output, reader.unreadable);
    }
    Ok(ExitCode::SUCCESS)
}

/// The last wanted events, the oldest first. Those further back than many lines are not looked for.
pub(crate) fn last_events(path: &Path, filter: &Filter, count: usize) -> io::Result<Vec<Event>> {
    let mut reader = Reader { filter, unreadable: 0 };
    let mut found = Vec::new();
    for line in rotating::lines_back(path, LINES_LOOKED_THROUGH)?.into_iter().rev() {
        if found.len() == count {
            break;
        }
        found.extend(reader.read(line).map(|found| found.event));
    }
    found.reverse();
    Ok(found)
}

fn tell_unreadable(output: &Output, count: usize) {
    let noun = if count == 1 {
        "line of the journal is no event"
    } else {
        "lines of the journal are no events"
    };
    output.say(format!("{count} {noun}, and left out"));
}

struct Printer<'o> {
    output: &'o Output,
    json: bool,
    zone: TimeZone,
}

impl Printer<'_> {
    /// Prints events; whether somebody still reads them.
    fn print(&mut self, found: &[Found]) -> bool {
        let mut text = String::new();
        for Found { line, event } in found {
            if self.json {
                text.push_str(&String::from_utf8_lossy(line));
            } else {
                text.push_str(&event::line(event, &self.zone, self.output.palette()));
            }
            text.push('\n');
        }
        text.is_empty() || self.output.stream(&text).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64, at_ms: u64, component: &str, what: &str) -> Event {
        let (component, what) = (component.to_owned(), what.to_owned());
        Event { sequence, at_ms, component, what, detail: String::new() }
    }

    #[test]
    fn an_event_is_wanted_when_all_of_the_filter_takes_it() {
        let text = str::to_owned;
        let filter = Filter {
            since_ms: 10,
            until_ms: Some(20),
            components: vec![text("guest"), text("proxyd")],
            kinds: vec![text("exited")],
        };
        assert!(filter.takes(&event(1, 10, "guest", "exited")));
        for (at_ms, component, what) in [
            (9, "guest", "exited"),
            (20, "guest", "exited"),
            (15, "openclaw", "exited"),
            (15, "proxyd", "spawned"),
        ] {
            assert!(!filter.takes(&event(1, at_ms, component, what)), "{at_ms} {component} {what}");
        }
        assert!(Filter::default().takes(&event(1, 0, "x", "y")));
    }

    #[test]
    fn the_last_events_of_a_component_are_found_among_others_and_torn_lines() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("events.jsonl");
        let mut text = String::from("{\"sequence\":1,\"at_m\n");
        for sequence in 0..20 {
            let component = if sequence % 2 == 0 { "guest" } else { "proxyd" };
            let event = event(sequence, sequence, component, "phase");
            text.push_str(&serde_json::to_string(&event).unwrap());
            text.push_str("\n\n");
        }
        std::fs::write(&path, text).unwrap();
        let filter = Filter { components: vec!["guest".to_owned()], ..Filter::default() };
        let found = last_events(&path, &filter, 3).unwrap();
        assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), [14, 16, 18]);
    }
}
