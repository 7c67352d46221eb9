//! Runs the programs that make an image: their output goes to a log, its last lines to errors.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use sanctum_model::Command;

use super::GuestError;

/// Lines of a program's output that an error shows.
const TAIL_LINES_MAX: usize = 12;
/// Bytes of one line that are kept; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 400;
/// What programs say when they cannot reach a server.
const UNREACHABLE: [&str; 10] = [
    "Could not connect",
    "Could not resolve",
    "Temporary failure resolving",
    "Connection timed out",
    "Network is unreachable",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "ENETUNREACH",
];

/// The programs that are needed, with the Debian package of each.
pub(super) const BUILD_TOOLS: [(&str, &str); 9] = [
    ("mmdebstrap", "mmdebstrap"),
    ("npm", "npm"),
    ("mkfs.ext4", "e2fsprogs"),
    ("qemu-img", "qemu-utils"),
    ("tar", "tar"),
    ("unshare", "util-linux"),
    ("sha256sum", "coreutils"),
    ("cp", "coreutils"),
    ("zstd", "zstd"),
];

/// Whether a program of that name is on the `PATH` or where only root looks.
pub(super) fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(tool))
        .find(|candidate| candidate.is_file())
}

/// Says which program is missing, if one is.
pub(super) fn require(tool: &str, package: &'static str) -> Result<(), GuestError> {
    match find(tool) {
        Some(_) => Ok(()),
        None => Err(GuestError::MissingTool { tool: tool.to_owned(), package }),
    }
}

/// Makes the process that a command describes. It finds what only root has on its `PATH` too.
pub(super) fn process(command: &Command) -> process::Command {
    let program = find(&command.program).unwrap_or_else(|| PathBuf::from(&command.program));
    let mut process = process::Command::new(program);
    process.args(&command.arguments).envs(command.environment.iter().cloned());
    let path = std::env::var("PATH").unwrap_or_default();
    process.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    process
}

/// One step's programs: where they say it, and what they are doing when they fail.
pub(super) struct Step<'a> {
    /// What it does, to follow `cannot`.
    pub(super) name: &'a str,
    /// The log of the whole build.
    pub(super) log: &'a Path,
    /// Called with each line of the output.
    pub(super) on_line: &'a mut dyn FnMut(&str),
}

impl Step<'_> {
    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// [`GuestError::Network`] when its last words are about a server it cannot reach, else
    /// [`GuestError::Step`]; each with those last words.
    pub(super) fn run(&mut self, command: &Command, directory: &Path) -> Result<(), GuestError> {
        let tool = command.program.clone();
        let unable = |source| GuestError::Tool { tool: tool.clone(), source };
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(self.log)
            .map_err(GuestError::file("write", self.log))?;
        writeln!(log, "$ {command}").map_err(GuestError::file("write", self.log))?;
        let (reader, writer) = io::pipe().map_err(unable)?;
        let mut child = {
            let mut process = process(command);
            process
                .current_dir(directory)
                .stdin(Stdio::null())
                .stdout(writer.try_clone().map_err(unable)?)
                .stderr(writer);
            process.spawn().map_err(unable)?
        };
        let tail = self.drain(reader, &mut log);
        let status = child.wait().map_err(unable)?;
        if status.success() {
            return Ok(());
        }
        let (step, log) = (self.name.to_owned(), self.log.to_owned());
        let tail = Vec::from(tail).join("\n");
        Err(if UNREACHABLE.iter().any(|sign| tail.contains(sign)) {
            GuestError::Network { step, tail, log }
        } else {
            GuestError::Step { step, tool, status: status.to_string(), tail, log }
        })
    }

    fn drain(&mut self, reader: io::PipeReader, log: &mut File) -> VecDeque<String> {
        let mut tail = VecDeque::new();
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match reader.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return tail,
                Ok(_) => {}
            }
            // A log that cannot be written, on a full disk, must not stop the reading.
            drop(log.write_all(&bytes));
            bytes.truncate(LINE_BYTES_MAX);
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if line.is_empty() {
                continue;
            }
            (self.on_line)(&line);
            if tail.len() == TAIL_LINES_MAX {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
}

/// Runs a program and returns what it prints to standard output.
///
/// # Errors
///
/// [`GuestError::Tool`] when it cannot be run or does not end with 0.
pub(super) fn output(command: &Command) -> Result<String, GuestError> {
    let unable = |source| GuestError::Tool { tool: command.program.clone(), source };
    let output = process(command).stdin(Stdio::null()).output().map_err(unable)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().last().unwrap_or_default();
    Err(unable(io::Error::other(format!("it ended with {}: {said}", output.status))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> (Result<(), GuestError>, Vec<String>, String) {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut lines = Vec::new();
        let mut on_line = |line: &str| lines.push(line.to_owned());
        let mut step = Step { name: "make it", log: &log, on_line: &mut on_line };
        let command = Command::new("sh").arguments(["-c", script]);
        let result = step.run(&command, directory.path());
        (result, lines, std::fs::read_to_string(&log).unwrap())
    }

    #[test]
    fn a_program_that_fails_is_shown_with_its_last_lines_and_its_log() {
        let (result, lines, log) = run("seq 1 40; echo boom >&2; exit 3");
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with("cannot make it: `sh` ended with exit status: 3\n"));
        assert!(error.to_string().ends_with("boom"), "{error}");
        assert!(!error.to_string().contains("\n20\n"), "{error}");
        assert!(error.hint().unwrap().contains("log"));
        assert_eq!(lines.len(), 41);
        assert!(log.contains("\n20\n"));
    }

    #[test]
    fn a_program_that_cannot_reach_its_server_is_named_so() {
        let (result, _, _) = run("echo 'npm error code EAI_AGAIN'; exit 1");
        let error = result.unwrap_err();
        assert!(matches!(error, GuestError::Network { .. }), "{error}");
        assert!(error.hint().unwrap().contains("run it again"));
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = require("no-such-program", "some-package").unwrap_err();
        assert!(error.to_string().contains("`no-such-program`"));
        assert_eq!(error.hint().unwrap(), "install it: sudo apt-get install some-package");
    }
}
