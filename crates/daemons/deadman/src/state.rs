//! What the next deadman must know of this one: `deadman/state`, a few lines.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::clock::millis;
use crate::decide::Durable;
use crate::journal::replace;
use crate::process::Identity;

/// Reads it. What is not there, or makes no sense, is forgotten: a page too many is better than
/// none.
pub(crate) fn read(path: &Path, boot: &str) -> Durable {
    parse(&fs::read_to_string(path).unwrap_or_default(), boot)
}

/// Writes it down.
///
/// # Errors
///
/// As the system gives them.
pub(crate) fn write(path: &Path, boot: &str, durable: &Durable) -> io::Result<()> {
    replace(path, &render(boot, durable))
}

fn render(boot: &str, durable: &Durable) -> String {
    let boot = [format!("boot {boot}")];
    let restarts = durable.restarts.iter().map(|restart| format!("restart {}", millis(*restart)));
    let incident = durable.incident.map(|incident| format!("incident {incident}"));
    let launched = durable.launched.as_ref();
    let launched = launched.map(|it| format!("launched {} {}", it.pid, it.started));
    let lines: Vec<String> =
        boot.into_iter().chain(restarts).chain(incident).chain(launched).collect();
    lines.join("\n") + "\n"
}

/// Moments are counted from boot, and numbers of processes given anew, so those of another boot
/// mean nothing.
fn parse(text: &str, boot: &str) -> Durable {
    let lines = || text.lines().filter_map(|line| line.split_once(' '));
    let numbers = |wanted: &'static str| {
        lines().filter(move |(key, _)| *key == wanted).filter_map(|(_, value)| value.parse().ok())
    };
    let is_this_boot = lines().any(|line| line == ("boot", boot));
    let incident = numbers("incident").next();
    if !is_this_boot {
        return Durable { incident, ..Durable::default() };
    }
    let launched = lines().find(|(key, _)| *key == "launched");
    Durable {
        restarts: numbers("restart").map(Duration::from_millis).collect(),
        incident,
        launched: launched.and_then(|(_, value)| Identity::parse(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_restarts_of_another_boot_are_forgotten() {
        let durable = Durable {
            restarts: vec![Duration::from_millis(5), Duration::from_millis(9)],
            incident: Some(77),
            launched: Some(Identity { pid: 5, started: "6 7".to_owned() }),
        };
        let text = render("this boot", &durable);
        assert_eq!(parse(&text, "this boot"), durable);
        let rest = Durable { incident: Some(77), ..Durable::default() };
        assert_eq!(parse(&text, "another"), rest);
        assert_eq!(parse("torn", "b"), Durable::default());
    }
}
