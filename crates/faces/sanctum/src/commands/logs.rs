//! `logs`: what components wrote, from their files; castellan need not run.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::Outcome;
use crate::arguments::Logs;
use crate::failure::Failure;
use crate::output::{Output, Paint};
use crate::place::Place;

/// How much is read from the end of a log.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;
/// How often a followed log is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

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
    let width = wanted.iter().map(String::len).max().unwrap_or(0);
    let mut followed = Vec::new();
    for name in &wanted {
        let path = directory.join(format!("{name}.log"));
        let label = if wanted.len() > 1 {
            output.paint(Paint::Faint, &format!("{name:width$} | "))
        } else {
            String::new()
        };
        let lines = last_lines(&path, options.lines).map_err(|error| unreadable(&path, &error))?;
        for line in lines {
            output.data(format!("{label}{line}"));
        }
        let position = fs::metadata(&path).map_or(0, |about| about.len());
        followed.push((path, label, position));
    }
    if !options.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        for (path, label, position) in &mut followed {
            let (text, reached) =
                read_from(path, *position).map_err(|error| unreadable(path, &error))?;
            *position = reached;
            for line in text.lines() {
                output.data(format!("{label}{line}"));
            }
        }
        thread::sleep(FOLLOW_INTERVAL);
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", path.display()))
}

fn known(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".log").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// The last `count` lines of a file.
pub(crate) fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let length = fs::metadata(path)?.len();
    let (text, _) = read_from(path, length.saturating_sub(TAIL_BYTES_MAX))?;
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    Ok(lines[lines.len().saturating_sub(count)..].to_vec())
}

/// What stands in a file after `position`, up to its last whole line, and how far that reaches.
/// A file that has become shorter was started anew and is read from its beginning.
fn read_from(path: &Path, position: u64) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let position = if file.metadata()?.len() < position { 0 } else { position };
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
    Ok((text, position + whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_log_gives_whole_lines_and_notices_a_new_beginning() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        let (text, position) = read_from(&path, 0).unwrap();
        assert_eq!((text.as_str(), position), ("one\ntwo\n", 8));
        fs::write(&path, "new\n").unwrap();
        assert_eq!(read_from(&path, position).unwrap(), ("new\n".to_owned(), 4));
    }

    #[test]
    fn the_last_lines_are_the_last() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        fs::write(&path, "1\n2\n3\n").unwrap();
        assert_eq!(last_lines(&path, 2).unwrap(), ["2", "3"]);
        assert_eq!(last_lines(&path, 9).unwrap().len(), 3);
    }
}
