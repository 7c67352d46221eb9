//! The guest under Lima: started, stopped and looked at through `limactl`.
//!
//! What `limactl` says is taken with care: its exit status says little in either direction, and
//! an empty list does not mean that there is nothing. So each order is followed by a look, and
//! what the look does not show is unknown.

use std::path::Path;
use std::time::Duration;

use sanctum_model::Command;
use serde::Deserialize;

use super::{GuestError, tool};

/// The name of the instance.
pub const INSTANCE: &str = "sanctum";
/// The time Lima may take to start it; the default of its own.
const START_MAX: Duration = Duration::from_mins(10);

/// What Lima's list shows of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimaState {
    /// It runs; its sshd is at this port of the host.
    Running {
        /// The port.
        ssh_port: u16,
    },
    /// It does not run.
    Stopped,
    /// Lima has lost a part of it, or is not through with starting it.
    Broken {
        /// What it says of it.
        errors: Vec<String>,
    },
    /// The list does not show it: it may not exist, or the list may be wrong.
    Unknown {
        /// What was seen.
        why: String,
    },
}

/// A row of `limactl list --json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    status: String,
    #[serde(default)]
    ssh_local_port: u16,
    #[serde(default)]
    errors: Option<Vec<String>>,
}

/// Looks at the instance. `limactl` is the program, by name or path.
pub fn state(limactl: &str) -> LimaState {
    let list = Command::new(limactl).arguments(["list", "--json", INSTANCE]);
    let output = match tool::process(&list).output() {
        Ok(output) => output,
        Err(error) => return LimaState::Unknown { why: format!("cannot run {limactl}: {error}") },
    };
    // One object a line, and it counts whatever the exit status is.
    let text = String::from_utf8_lossy(&output.stdout);
    let row = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Row>(line).ok())
        .find(|row| row.name == INSTANCE);
    match row {
        Some(row) => match row.status.as_str() {
            "Running" => LimaState::Running { ssh_port: row.ssh_local_port },
            "Stopped" => LimaState::Stopped,
            "Broken" => LimaState::Broken { errors: row.errors.unwrap_or_default() },
            other => LimaState::Unknown { why: format!("its status is `{other}`") },
        },
        None => {
            LimaState::Unknown { why: format!("the list does not show it ({})", output.status) }
        }
    }
}

/// Starts the instance, made from `yaml` if Lima does not have it.
///
/// # Errors
///
/// [`GuestError::Lima`] when it does not run afterwards, whatever `limactl` said.
pub fn start(limactl: &str, yaml: &Path) -> Result<u16, GuestError> {
    match state(limactl) {
        LimaState::Running { ssh_port } => return Ok(ssh_port),
        LimaState::Broken { .. } => force_stop(limactl)?,
        LimaState::Stopped | LimaState::Unknown { .. } => {}
    }
    let timeout = format!("--timeout={}s", START_MAX.as_secs());
    let start = Command::new(limactl).arguments(["start", "--tty=false", &timeout]);
    let start = match state(limactl) {
        LimaState::Unknown { .. } => {
            start.argument(format!("--name={INSTANCE}")).argument(yaml.to_string_lossy())
        }
        LimaState::Running { .. } | LimaState::Stopped | LimaState::Broken { .. } => {
            start.argument(INSTANCE)
        }
    };
    let said = tool::output(&start);
    let seen = state(limactl);
    if let LimaState::Running { ssh_port } = seen {
        return Ok(ssh_port);
    }
    Err(fault("start", &seen, said.err()))
}

/// Stops the instance; by force, if Lima cannot do it otherwise.
///
/// # Errors
///
/// [`GuestError::Lima`] when it is not seen stopped afterwards.
pub fn stop(limactl: &str) -> Result<(), GuestError> {
    if state(limactl) == LimaState::Stopped {
        return Ok(());
    }
    drop(tool::output(&Command::new(limactl).arguments(["stop", INSTANCE])));
    if state(limactl) == LimaState::Stopped {
        return Ok(());
    }
    force_stop(limactl)
}

fn force_stop(limactl: &str) -> Result<(), GuestError> {
    let said = tool::output(&Command::new(limactl).arguments(["stop", "-f", INSTANCE]));
    let seen = state(limactl);
    if seen == LimaState::Stopped {
        return Ok(());
    }
    Err(fault("stop", &seen, said.err()))
}

fn fault(action: &'static str, seen: &LimaState, said: Option<GuestError>) -> GuestError {
    let seen = match seen {
        LimaState::Running { .. } => "it runs".to_owned(),
        LimaState::Stopped => "it is stopped".to_owned(),
        LimaState::Broken { errors } => format!("it is broken: {}", errors.join("; ")),
        LimaState::Unknown { why } => why.clone(),
    };
    let what = match said {
        Some(GuestError::Tool { source, .. }) => format!("{seen}; limactl: {source}"),
        Some(error) => format!("{seen}; {error}"),
        None => seen,
    };
    GuestError::Lima { action, what }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A stand-in that keeps the instance's status in a file, and each order in another.
    struct Stand {
        directory: tempfile::TempDir,
    }

    impl Stand {
        /// `on_start` and `on_stop` are what the two orders do, in shell; `$S` is the status file.
        fn new(status: &str, on_start: &str, on_stop: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let here = directory.path().display();
            let script = format!(
                "#!/bin/sh\nS={here}/status\necho \"$*\" >> {here}/orders\ncase $1 in\n\
                 list)\n  [ -s $S ] || {{ echo 'No instance matching sanctum found.' >&2; exit 1; }}\n\
                 cat $S ;;\nstart)\n  {on_start} ;;\nstop)\n  {on_stop} ;;\nesac\n"
            );
            let path = directory.path().join("limactl");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(directory.path().join("status"), status).unwrap();
            Self { directory }
        }

        fn limactl(&self) -> String {
            self.directory.path().join("limactl").display().to_string()
        }

        fn orders(&self) -> Vec<String> {
            let text = fs::read_to_string(self.directory.path().join("orders")).unwrap();
            text.lines().filter(|line| !line.starts_with("list")).map(str::to_owned).collect()
        }
    }

    fn row(status: &str) -> String {
        format!(
            "{{\"name\":\"sanctum\",\"status\":\"{status}\",\"sshLocalPort\":1922,\
             \"errors\":[\"host agent is running but driver is not\"]}}\n"
        )
    }

    fn becomes(status: &str) -> String {
        format!("echo '{}' > $S", row(status).trim_end())
    }

    #[test]
    fn a_running_instance_is_started_by_doing_nothing() {
        let lima = Stand::new(&row("Running"), "exit 9", "exit 9");
        assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).unwrap(), 1922);
        assert!(lima.orders().is_empty());
    }

    #[test]
    fn an_instance_that_lima_does_not_show_is_made_from_its_file() {
        let lima = Stand::new("", &becomes("Running"), "exit 9");
        assert!(matches!(state(&lima.limactl()), LimaState::Unknown { .. }));
        assert_eq!(start(&lima.limactl(), Path::new("/s/lima.yaml")).unwrap(), 1922);
        assert_eq!(lima.orders(), ["start --tty=false --timeout=600s --name=sanctum /s/lima.yaml"]);
    }

    #[test]
    fn a_start_that_says_it_failed_counts_by_what_is_seen() {
        let late = becomes("Running") + "; echo 'did not receive an event' >&2; exit 1";
        let lima = Stand::new(&row("Stopped"), &late, "exit 9");
        assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).unwrap(), 1922);
    }

    #[test]
    fn a_start_that_says_it_worked_counts_by_what_is_seen() {
        let lima = Stand::new(&row("Stopped"), "exit 0", "exit 9");
        let error = start(&lima.limactl(), Path::new("x.yaml")).unwrap_err().to_string();
        assert!(error.contains("it is stopped"), "{error}");
    }

    #[test]
    fn a_broken_instance_is_stopped_by_force_before_it_is_started() {
        let only_force = format!("[ \"$2\" = -f ] || exit 1; {}", becomes("Stopped"));
        let lima = Stand::new(&row("Broken"), &becomes("Running"), &only_force);
        assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).unwrap(), 1922);
        assert_eq!(lima.orders(), ["stop -f sanctum", "start --tty=false --timeout=600s sanctum"]);
    }

    #[test]
    fn a_stop_that_only_works_by_force_works() {
        let only_force = format!("[ \"$2\" = -f ] || exit 1; {}", becomes("Stopped"));
        let lima = Stand::new(&row("Running"), "exit 9", &only_force);
        stop(&lima.limactl()).unwrap();
        assert_eq!(lima.orders(), ["stop sanctum", "stop -f sanctum"]);
    }

    #[test]
    fn a_list_that_is_empty_with_exit_status_zero_is_unknown_and_not_stopped() {
        let lima = Stand::new("\n", "exit 9", "exit 0");
        assert!(matches!(state(&lima.limactl()), LimaState::Unknown { .. }));
        assert!(matches!(stop(&lima.limactl()), Err(GuestError::Lima { .. })));
    }

    #[test]
    fn a_missing_limactl_is_unknown() {
        let LimaState::Unknown { why } = state("/no/such/limactl") else { panic!() };
        assert!(why.contains("/no/such/limactl"));
    }
}
