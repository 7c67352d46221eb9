//! What the next deadman must know of this one: `deadman/state`, a few lines.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::clock::millis;
use crate::decide::Durable;
use crate::journal::replace;

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
    let lines: Vec<String> = boot.into_iter().chain(restarts).chain(incident).collect();
    lines.join("\n") + "\n"
}

/// The moments of restarts are counted from boot, so those of another boot mean nothing.
fn parse(text: &str, boot: &str) -> Durable {
    let lines = || text.lines().filter_map(|line| line.split_once(' '));
    let numbers = |wanted: &'static str| {
        lines().filter(move |(key, _)| *key == wanted).filter_map(|(_, value)| value.parse().ok())
    };
    let is_this_boot = lines().any(|line| line == ("boot", boot));
    let restarts = if is_this_boot {
        numbers("restart").map(Duration::from_millis).collect()
    } else {
        Vec::new()
    };
    Durable { restarts, incident: numbers("incident").next() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_restarts_of_another_boot_are_forgotten() {
        let durable = Durable {
            restarts: vec![Duration::from_millis(5), Duration::from_millis(9)],
            incident: Some(77),
        };
        let text = render("this boot", &durable);
        assert_eq!(parse(&text, "this boot"), durable);
        assert_eq!(parse(&text, "another"), Durable { restarts: Vec::new(), ..durable });
        assert_eq!(parse("torn", "b"), Durable::default());
    }
}
