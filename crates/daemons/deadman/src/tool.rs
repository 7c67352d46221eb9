//! Programs of the system, run with a deadline and a limit on what they may say.

use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// What is read of a program's output.
const OUTPUT_BYTES_MAX: u64 = 256 * 1024;
/// How often a program's end is looked for.
const POLL: Duration = Duration::from_millis(5);
/// How long output is waited for after the end: a process left behind may hold the pipe.
const DRAIN: Duration = Duration::from_millis(200);
/// How long a signal may take to be sent.
const SIGNAL_MAX: Duration = Duration::from_secs(5);

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Finished {
    /// Its output if it says that all went well, else how it ended and its last words.
    pub(crate) fn success(self) -> io::Result<String> {
        if self.status.success() {
            return Ok(self.output);
        }
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("it ended with exit code {code}"),
            (None, Some(signal)) => format!("it was killed by signal {signal}"),
            (None, None) => "it ended".to_owned(),
        };
        let word = self.errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let end = if word.is_empty() { how } else { format!("{how}: {}", clip(word)) };
        Err(io::Error::other(end))
    }
}

/// Runs a program in a process group of its own to its end, gives it `input`, and kills the group
/// when `limit` is over.
///
/// # Errors
///
/// When it cannot be started, or has not ended in time.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> io::Result<Finished> {
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // One that does not read must not hold us.
        thread::spawn(move || stdin.write_all(input.as_bytes()).ok());
    }
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let Some(status) = wait(&mut child, deadline)? else {
        kill_group(&mut child);
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it has not ended within {limit:?}"),
        ));
    };
    let text = |said: &Receiver<Vec<u8>>| {
        let bytes = said.recv_timeout(DRAIN).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished { status, output: text(&output), errors: text(&errors) })
}

/// Sends a signal through the shell: std has no way to. `target` is a process id, or a group's
/// with a minus.
///
/// # Errors
///
/// When there is nobody to get it, or the shell cannot be run.
pub(crate) fn signal(name: &str, target: &str) -> io::Result<()> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"kill -s "$1" -- "$2""#, "sh", name, target]);
    run(&mut shell, "", SIGNAL_MAX)?.success().map(drop)
}

/// At most 300 characters of what a stranger said, on one line.
pub(crate) fn clip(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(CHARACTERS_MAX).map(plain).collect()
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The child is not collected before its group has got the signal, so its id is still its own.
fn kill_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"kill -s KILL -- "$1""#, "sh", &group]);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
    child.kill().ok();
    child.wait().ok();
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    if let Some(mut pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).ok();
            // The rest is read and forgotten, so that the program is not held.
            io::copy(&mut pipe, &mut io::sink()).ok();
            sender.send(bytes).ok();
        });
    }
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_says_and_how_it_ends_is_told() {
        let said = run(&mut shell("cat; echo there"), "here\n", LONG).unwrap().success().unwrap();
        assert_eq!(said, "here\nthere\n");
        let error = run(&mut shell("echo no way >&2; exit 3"), "", LONG).unwrap().success();
        assert_eq!(error.unwrap_err().to_string(), "it ended with exit code 3: no way");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_all_it_started() {
        let begun = Instant::now();
        let error = run(&mut shell("sleep 60 & sleep 60"), "", Duration::from_millis(100));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn one_that_does_not_read_and_says_too_much_holds_nobody() {
        let input = "x".repeat(1024 * 1024);
        let said = run(&mut shell("head -c 2000000 /dev/zero"), &input, LONG).unwrap();
        assert!(said.success().unwrap().len() as u64 <= OUTPUT_BYTES_MAX);
    }

    #[test]
    fn a_signal_to_nobody_is_an_error() {
        assert!(signal("CONT", "-999999999").is_err());
    }
}
