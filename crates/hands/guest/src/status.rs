//! What there is of a guest, and what it is doing. Reads, and changes nothing.

use std::fs;
use std::path::Path;

use sanctum_host::process::Identity;
use serde::{Deserialize, Serialize};

use super::image::{self, ImageManifest};
use super::instance::{self, InstanceRecord};
use super::lima::LimaState;
use super::{GuestError, GuestPaths, machine_state};

/// Everything that can be said about the guest without asking it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The image that the instance has, or the next one would have, if it is built.
    pub image: Option<ImageManifest>,
    /// The instance, if there is one.
    pub instance: Option<InstanceRecord>,
    /// The machine.
    pub machine: MachineStatus,
    /// What the instance's disk takes on this machine's disk, in bytes.
    pub disk_bytes: u64,
}

/// What the machine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MachineStatus {
    /// It does not run.
    Stopped,
    /// It runs and answers.
    Running {
        /// How it runs.
        run: RunRecord,
        /// What it says of the machine: `running`, `paused` and so on.
        machine: String,
    },
    /// It runs and does not answer.
    Stuck {
        /// How it runs.
        run: RunRecord,
        /// What was seen.
        why: String,
    },
    /// Lima runs it.
    InLima {
        /// The host port of the guest's sshd.
        ssh_port: u16,
    },
    /// Lima has it, and it is neither up nor down, or what it is cannot be known.
    Unclear {
        /// What was seen.
        why: String,
    },
}

/// `run.json`: which process runs the guest, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The emulator.
    pub pid: u32,
    /// When it started, in the words of the system: only to be compared.
    pub started: String,
    /// What carries the guest's instructions out: `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that.
    pub reason: String,
    /// The host port of the guest's sshd.
    pub ssh_port: u16,
}

/// Looks at the guest.
///
/// # Errors
///
/// When a record of ours cannot be read.
pub fn status(paths: &GuestPaths, cache: &Path) -> Result<Status, GuestError> {
    let machine = match run_record(paths) {
        None => MachineStatus::Stopped,
        Some(run) => match machine_state(paths) {
            Ok(machine) => MachineStatus::Running { run, machine },
            Err(error) => MachineStatus::Stuck { run, why: error.to_string() },
        },
    };
    with_machine(paths, cache, machine)
}

/// The same of a guest that Lima runs, by what Lima shows of it. Its disk is Lima's.
///
/// # Errors
///
/// As [`status`].
pub fn status_in_lima(
    paths: &GuestPaths,
    cache: &Path,
    seen: LimaState,
) -> Result<Status, GuestError> {
    let machine = match seen {
        LimaState::Running { ssh_port } => MachineStatus::InLima { ssh_port },
        LimaState::Stopped => MachineStatus::Stopped,
        LimaState::Broken { errors } => {
            MachineStatus::Unclear { why: format!("broken: {}", errors.join("; ")) }
        }
        LimaState::Unknown { why } => MachineStatus::Unclear { why },
    };
    with_machine(paths, cache, machine)
}

fn with_machine(
    paths: &GuestPaths,
    cache: &Path,
    machine: MachineStatus,
) -> Result<Status, GuestError> {
    let instance = instance::record(paths)?;
    let image = match &instance {
        Some(record) => image::by_key(cache, &record.image),
        None => image::find(cache, super::arch()?),
    };
    Ok(Status {
        image: image.and_then(|image| image.manifest().ok()),
        instance,
        machine,
        disk_bytes: disk_bytes(&paths.disk()),
    })
}

/// The process that runs the guest, if one does.
pub(super) fn running(paths: &GuestPaths) -> Option<u32> {
    run_record(paths).map(|run| run.pid)
}

fn run_record(paths: &GuestPaths) -> Option<RunRecord> {
    let text = fs::read_to_string(paths.run_record()).ok()?;
    let run: RunRecord = serde_json::from_str(&text).ok()?;
    let identity = Identity { pid: run.pid, started: run.started.clone() };
    identity.is_alive().then_some(run)
}

fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or(0, |about| about.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(run: &RunRecord) -> (tempfile::TempDir, GuestPaths) {
        let home = tempfile::tempdir().unwrap();
        let paths = GuestPaths::new(home.path());
        fs::create_dir_all(paths.directory()).unwrap();
        fs::write(paths.run_record(), serde_json::to_string(run).unwrap()).unwrap();
        (home, paths)
    }

    fn this_process() -> RunRecord {
        let identity = Identity::of(std::process::id()).unwrap();
        RunRecord {
            pid: identity.pid,
            started: identity.started,
            accelerator: "tcg".to_owned(),
            reason: "asked for".to_owned(),
            ssh_port: 1922,
        }
    }

    #[test]
    fn nothing_there_is_said_without_an_error() {
        let home = tempfile::tempdir().unwrap();
        let seen = status(&GuestPaths::new(home.path()), home.path()).unwrap();
        assert_eq!(seen.machine, MachineStatus::Stopped);
        assert_eq!((seen.image, seen.instance, seen.disk_bytes), (None, None, 0));
    }

    #[test]
    fn an_emulator_that_runs_and_does_not_answer_is_stuck() {
        let (home, paths) = written(&this_process());
        let seen = status(&paths, home.path()).unwrap();
        assert!(matches!(seen.machine, MachineStatus::Stuck { .. }), "{:?}", seen.machine);
    }

    #[test]
    fn another_process_with_the_same_id_is_not_the_emulator() {
        let (home, paths) = written(&RunRecord { started: "0".to_owned(), ..this_process() });
        assert_eq!(status(&paths, home.path()).unwrap().machine, MachineStatus::Stopped);
    }

    #[test]
    fn a_running_guest_is_not_reset() {
        let (_home, paths) = written(&this_process());
        assert!(matches!(instance::reset(&paths), Err(GuestError::Running { .. })));
    }
}
