//! One call of a manager's tool: bounded in time and in words.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Deadline, ManagerError};
use crate::attended::Attended;

/// What is kept of what a tool says, of each stream.
const SAID_BYTES_MAX: u64 = 256 * 1024;
/// What is shown of the words of a tool that said no.
const WORDS_CHARS_MAX: usize = 300;
/// How often the end of a tool is looked for.
const TOOL_INTERVAL: Duration = Duration::from_millis(5);
/// How long the streams of a tool that has ended are waited for: somebody else may hold them.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Its exit code; 128 and the signal if it was ended by one.
    pub(super) code: i32,
    /// What it wrote to its output.
    pub(super) output: String,
    /// What it wrote beside it.
    pub(super) errors: String,
}

impl Said {
    pub(super) fn is_success(&self) -> bool {
        self.code == 0
    }

    /// Its words on one line, for a reader.
    pub(super) fn words(&self) -> String {
        let said = if self.errors.trim().is_empty() { &self.output } else { &self.errors };
        let mut words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            words = format!("exit code {}", self.code);
        }
        match words.char_indices().nth(WORDS_CHARS_MAX) {
            Some((end, _)) => format!("{} …", &words[..end]),
            None => words,
        }
    }
}

/// Runs a tool to its end, in a group of its own, without input, in the language `C`.
pub(super) fn call(
    prefix: &[String],
    path: Option<&str>,
    arguments: &[&str],
    deadline: Deadline,
) -> Result<Said, ManagerError> {
    let Some((program, first)) = prefix.split_first() else {
        return Err(ManagerError::ToolAbsent { tool: String::new() });
    };
    let mut command = Command::new(program);
    command.args(first).args(arguments);
    command.env("LC_ALL", "C").env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = Attended::spawn(&mut command).map_err(|source| cannot_run(program, source))?;
    let (output, errors) = child.take_streams();
    let (output, errors) = (output.map(read_aside), errors.map(read_aside));
    let ended = wait(&mut child, deadline).map_err(|source| cannot_run(program, source))?;
    let Some(status) = ended else {
        let what = format!("hear from `{program} {}`", arguments.join(" "));
        return Err(ManagerError::TimedOut { what });
    };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Said { code, output: drain(output), errors: drain(errors) })
}

fn cannot_run(program: &str, source: io::Error) -> ManagerError {
    let tool = program.to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        return ManagerError::ToolAbsent { tool };
    }
    ManagerError::Run { tool, source }
}

/// How it ended; nothing if the time was up first.
fn wait(child: &mut Attended, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.left().is_zero() {
            return Ok(None);
        }
        thread::sleep(TOOL_INTERVAL.min(deadline.left()));
    }
}

/// Reads a stream to its end on a thread of its own, so that the tool is never blocked by us.
fn read_aside(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        // What cannot be read was not said; the exit code speaks.
        stream.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut said).ok();
        sender.send(said).ok();
        io::copy(&mut stream, &mut io::sink()).ok();
    });
    receiver
}

fn drain(stream: Option<mpsc::Receiver<Vec<u8>>>) -> String {
    let until = Instant::now() + DRAIN_MAX;
    let said = stream
        .and_then(|said| said.recv_timeout(until.saturating_duration_since(Instant::now())).ok());
    String::from_utf8_lossy(&said.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, within: Duration) -> Result<Said, ManagerError> {
        let prefix = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        call(&prefix, None, &["sh", "argument"], Deadline::after(within))
    }

    #[test]
    fn a_tool_is_heard_on_both_streams_and_by_its_code() {
        let said = shell("echo $1 $LC_ALL; echo no  such >&2; exit 5", Duration::from_secs(10));
        let said = said.unwrap();
        assert_eq!((said.code, said.output.as_str()), (5, "argument C\n"));
        assert_eq!(said.words(), "no such");
    }

    #[test]
    fn a_tool_that_does_not_come_back_is_left_at_its_deadline() {
        let begun = Instant::now();
        let error = shell("sleep 600", Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, ManagerError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_tool_that_says_too_much_is_cut_and_not_blocked() {
        let said = shell("head -c 1000000 /dev/zero | tr '\\0' x", Duration::from_secs(20));
        let said = said.unwrap();
        assert_eq!(u64::try_from(said.output.len()).unwrap(), SAID_BYTES_MAX);
        assert!(said.words().chars().count() <= WORDS_CHARS_MAX + 2);
    }

    #[test]
    fn somebody_who_holds_the_streams_of_a_tool_does_not_hold_us() {
        let begun = Instant::now();
        let said = shell("sleep 8 & echo done", Duration::from_secs(10)).unwrap();
        assert_eq!(said.code, 0);
        assert!(begun.elapsed() < Duration::from_secs(8));
    }
}
