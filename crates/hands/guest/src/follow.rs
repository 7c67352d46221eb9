//! A unit of the guest, as seen from the host: started, followed, stopped.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::timeout;

use super::run::Signals;
use super::{GuestError, GuestPaths, ssh_command, tool};

/// The program in the guest that starts a unit and prints its journal. It ends with 3 when the
/// unit is no longer kept up.
const KEEP_UNIT: &str = "/usr/local/lib/sanctum/keep-unit";
/// The time a unit has to stop: its own limit of 30 s in the guest, and the way there.
const STOP_MAX: Duration = Duration::from_mins(1);
/// Starts `unit` in the guest if it does not run, prints its journal to standard output, and on
/// SIGTERM or SIGINT stops it.
///
/// Not cancel safe: a dropped future leaves the unit as it is.
///
/// # Errors
///
/// [`GuestError::Unit`] when the guest is not reached any more, or the unit is not kept up.
pub async fn follow_unit(paths: &GuestPaths, ssh_port: u16, unit: &str) -> Result<(), GuestError> {
    let fault = |what: String| GuestError::Unit { unit: unit.to_owned(), what };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if unit.is_empty() || unit.starts_with('-') || !unit.chars().all(plain) {
        return Err(fault("that is no name for a unit".to_owned()));
    }
    let mut signals = Signals::new()?;
    let mut follower = ssh(paths, ssh_port, &[KEEP_UNIT, unit], Stdio::piped())?;
    // Taken out, or waiting for it would close it and so tell the follower in the guest to end.
    let input = follower.stdin.take();
    let ended = tokio::select! {
        biased;
        () = signals.next() => None,
        status = follower.wait() => Some(status),
    };
    if let Some(status) = ended {
        return Err(fault(match status.map(|status| status.code()) {
            Ok(Some(3)) => "it is not kept up in the guest".to_owned(),
            Ok(Some(255)) => "the guest is not reached by ssh".to_owned(),
            Ok(code) => format!("the follower ended with {code:?}"),
            Err(error) => error.to_string(),
        }));
    }
    drop(input);
    drop(follower.kill().await);
    tracing::info!(unit, "stopping");
    let mut stop = ssh(paths, ssh_port, &["systemctl", "stop", unit], Stdio::null())?;
    match timeout(STOP_MAX, stop.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        // A guest that is gone has no unit that runs.
        Ok(Ok(status)) if status.code() == Some(255) => Ok(()),
        Ok(Ok(status)) => Err(fault(format!("it cannot be stopped ({status})"))),
        Ok(Err(error)) => Err(fault(error.to_string())),
        Err(_) => Err(fault(format!("it did not stop within {} s", STOP_MAX.as_secs()))),
    }
}

fn ssh(paths: &GuestPaths, port: u16, words: &[&str], input: Stdio) -> Result<Child, GuestError> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let command = ssh_command(paths, port, &words);
    tokio::process::Command::from(tool::process(&command))
        .stdin(input)
        .kill_on_drop(true)
        // A signal to our group is for us: what it means for the unit is said over this very ssh.
        .process_group(0)
        .spawn()
        .map_err(|source| GuestError::Tool { tool: command.program, source })
}
