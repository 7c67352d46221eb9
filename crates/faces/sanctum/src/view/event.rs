//! An event of chitti, as a line.

use jiff::tz::TimeZone;
use sanctum_wire::Event;

use super::words::{local, printable};
use crate::output::{Paint, Palette};

/// The least width of the column of components.
const COMPONENT_WIDTH_MIN: usize = 12;
/// The width of the column of kinds.
const KIND_WIDTH: usize = 12;

/// One line: local time, component, kind, details.
pub(crate) fn line(event: &Event, zone: &TimeZone, palette: Palette) -> String {
    let time = palette.paint(Paint::Faint, &local(event.at_ms, zone));
    let component = printable(&event.component);
    let (what, detail) = (printable(&event.what), printable(&event.detail));
    format!("{time}  {component:COMPONENT_WIDTH_MIN$}  {what:KIND_WIDTH$}  {detail}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let event = Event {
            sequence: 1,
            at_ms: 1_795_579_140_123,
            component: "guest".to_owned(),
            what: "spawned".to_owned(),
            detail: "pid 7\nand more".to_owned(),
        };
        assert_eq!(
            line(&event, &TimeZone::UTC, Palette::Plain),
            "2026-11-25 03:59:00.123  guest         spawned       pid 7\\nand more"
        );
    }
}
