//! `logs`: what components wrote, from their files and the older ones; castellan need not run.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use jiff::Zoned;
use sanctum_host::rotating::{self, Follow};

use super::Outcome;
use crate::arguments::Logs;
use crate::failure::Failure;
use crate::output::{Output, Paint};
use crate::place::Place;
use crate::view::words;
use crate::when;

/// How many lines are shown unless told.
const LINES_DEFAULT: usize = 40;
/// How often a followed log is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// One log that is shown.
struct Shown {
    path: PathBuf,
    label: String,
}

pub(crate) fn run(place: &Place, output: &Output, options: &Logs) -> Outcome {
    let directory = PathBuf::from(&place.layout.home).join("logs");
    let known = known(&directory);
    let wanted =
        if options.components.is_empty() { known.clone() } else { options.components.clone() };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        let failure = Failure::new(format!("there is no log of `{unknown}`"));
        return Err(if known.is_empty() {
            failure.hint("nothing has been started yet: `sanctum up`")
        } else {
            failure.hint(format!("there are logs of {}", known.join(", ")))
        });
    }
    let since = options.since.as_ref().map(|text| when::parse(text, &Zoned::now())).transpose()?;
    let count = options.lines.unwrap_or(if since.is_some() { usize::MAX } else { LINES_DEFAULT });
    let width = wanted.iter().map(String::len).max().unwrap_or(0);
    let mut followed = Vec::new();
    for name in &wanted {
        let label = if wanted.len() > 1 {
            output.paint(Paint::Faint, &format!("{name:width$} | "))
        } else {
            String::new()
        };
        let shown = Shown { path: directory.join(format!("{name}.log")), label };
        let begun = begin(&shown.path, since, count, options.follow);
        let (lines, follow) = begun.map_err(|error| unreadable(&shown.path, &error))?;
        if !print(output, &shown.label, &lines) {
            return Ok(ExitCode::SUCCESS);
        }
        followed.extend(follow.map(|follow| (shown, follow)));
    }
    while !followed.is_empty() {
        thread::sleep(FOLLOW_INTERVAL);
        for (shown, follow) in &mut followed {
            let lines = follow.poll().map_err(|error| unreadable(&shown.path, &error))?;
            if !print(output, &shown.label, &lines) {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

type Lines = Vec<Vec<u8>>;

/// What is shown first, and what goes on from there.
fn begin(
    path: &Path,
    since: Option<u64>,
    count: usize,
    follow: bool,
) -> io::Result<(Lines, Option<Follow>)> {
    let (mut lines, follow) = match (follow, since) {
        (true, _) => {
            let (lines, follow) = Follow::begin(path, count)?;
            (lines, Some(follow))
        }
        (false, None) => (rotating::lines_back(path, count)?, None),
        (false, Some(_)) => (rotating::lines(path)?.collect::<io::Result<Lines>>()?, None),
    };
    if let Some(since) = since {
        lines.drain(..first_since(&lines, since));
    }
    lines.drain(..lines.len().saturating_sub(count));
    Ok((lines, follow))
}

/// The place of the first line since a moment. Lines without a time of their own count as the one
/// before; where no line has one, all are shown.
fn first_since(lines: &[Vec<u8>], since: u64) -> usize {
    let time = |line: &Vec<u8>| when::at_beginning(&String::from_utf8_lossy(line));
    let last_before = lines.iter().rposition(|line| time(line).is_some_and(|time| time < since));
    let Some(last_before) = last_before else { return 0 };
    let next = lines[last_before + 1..].iter().position(|line| time(line).is_some());
    next.map_or(lines.len(), |next| last_before + 1 + next)
}

/// Prints lines; whether somebody still reads them.
fn print(output: &Output, label: &str, lines: &[Vec<u8>]) -> bool {
    let mut text = String::new();
    for line in lines {
        let line = String::from_utf8_lossy(line);
        text.push_str(label);
        if output.is_terminal_out() {
            text.push_str(&words::colored_printable(&line));
        } else {
            text.push_str(&line);
        }
        text.push('\n');
    }
    text.is_empty() || output.stream(&text).is_ok()
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", path.display()))
}

/// Whose logs there are, older ones included.
fn known(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names: BTreeSet<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|file| {
            let (name, rest) = file.split_once(".log")?;
            (rest.is_empty() || rest.starts_with('.')).then(|| name.to_owned())
        })
        .collect();
    names.into_iter().collect()
}

/// The last `count` lines of a file and its older ones.
pub(crate) fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let lines = rotating::lines_back(path, count)?;
    Ok(lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_since_a_moment_are_those_from_the_first_line_of_that_time_on() {
        let lines: Vec<Vec<u8>> = [
            "2026-11-25T03:58:00Z old",
            "  more of it",
            "2026-11-25T03:59:00Z new",
            "  more of that",
        ]
        .map(|line| line.as_bytes().to_vec())
        .into();
        assert_eq!(first_since(&lines, 1_795_579_140_000), 2);
        assert_eq!(first_since(&lines, 1_795_579_140_001), 4);
        assert_eq!(first_since(&lines, 0), 0);
        assert_eq!(first_since(&lines[1..2], 1_795_579_140_000), 0);
    }

    #[test]
    fn a_log_is_known_by_its_older_files_too() {
        let home = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1.gz", "b.log.2.gz", "c.txt", "d.logs"] {
            fs::write(home.path().join(name), "").unwrap();
        }
        assert_eq!(known(home.path()), ["a", "b"]);
    }

    #[test]
    fn the_last_lines_reach_into_the_older_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        fs::write(home.path().join("x.log.1"), "1\n2\n").unwrap();
        fs::write(&path, "3\n").unwrap();
        assert_eq!(last_lines(&path, 2).unwrap(), ["2", "3"]);
        assert_eq!(last_lines(&path, 9).unwrap().len(), 3);
    }
}
