//! systemd, through `systemctl`.
//!
//! What has to be known of it: exit code 0 of `start` says that a program was forked, not that it
//! lives; `show` answers with 0 for a unit that does not exist; a unit that crashed too often is
//! refused until `reset-failed`; a unit that waits to be started again has no process and is not
//! failed; and a pattern in place of a name means every unit that matches.

use sanctum_model::Scope;

use super::tool::{self, Said};
use super::{Active, Deadline, JobState, Loaded, ManagerError, Tools, settles};
use crate::process::Identity;

const MANAGER: &str = "systemd";

/// What is asked about a unit.
const PROPERTIES: &str =
    "-pLoadState,ActiveState,SubState,MainPID,Result,ExecMainCode,ExecMainStatus,NRestarts";

/// Beginnings and parts of what `systemctl` says when it has not spoken to a manager.
const NO_MANAGER: [&str; 8] = [
    "Failed to connect to bus",
    "Failed to connect to system scope bus",
    "Failed to connect to user scope bus",
    "has not been booted with systemd",
    "Transport endpoint is not connected",
    "Connection reset by peer",
    "Connection timed out",
    "disconnected from message bus without replying",
];

/// `ExecMainCode`, as `waitid` has it: it exited.
const CLD_EXITED: &str = "1";

/// One of systemd's managers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manager<'a> {
    tools: &'a Tools,
    scope: Scope,
}

/// A unit as `systemctl show` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whether there is a unit file, and whether it can be used.
    pub loaded: Loaded,
    /// What the unit is doing.
    pub active: Active,
    /// Its main process, alive or not.
    pub pid: Option<u32>,
    /// How its main process last ended.
    pub last_exit: Option<String>,
    /// How often it was started again by itself.
    pub restarts: Option<u32>,
    /// `ActiveState` and `SubState`.
    pub word: String,
}

/// Reads what `systemctl show` says about one unit. What is missing is unclear, never stopped.
pub fn parse_show(text: &str) -> Shown {
    let get = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(name, _)| *name == key).map(|(_, value)| value.trim()).next()
    };
    let (active, sub) = (get("ActiveState").unwrap_or_default(), get("SubState"));
    let sub = sub.unwrap_or_default();
    let pid = get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0);
    Shown {
        loaded: parse_load_state(get("LoadState").unwrap_or_default()),
        active: parse_active_state(active, sub),
        pid,
        last_exit: parse_exit(get("ExecMainCode"), get("ExecMainStatus"), get("Result")),
        restarts: get("NRestarts").and_then(|restarts| restarts.parse().ok()),
        word: format!("{active} ({sub})"),
    }
}

fn parse_load_state(word: &str) -> Loaded {
    match word {
        "not-found" => Loaded::No,
        "masked" | "bad-setting" | "error" => Loaded::Barred,
        _ => Loaded::Yes,
    }
}

fn parse_active_state(active: &str, sub: &str) -> Active {
    match (active, sub) {
        ("activating", word) if word.starts_with("auto-restart") => Active::Waiting,
        ("activating", _) => Active::Starting,
        ("deactivating", _) => Active::Stopping,
        // A task that has run and is remembered as active has no process, and needs none.
        ("active", "exited") | ("inactive", _) => Active::Ended,
        ("active" | "reloading" | "refreshing", _) => Active::Running,
        ("failed", _) => Active::Failed,
        _ => Active::Unclear,
    }
}

fn parse_exit(code: Option<&str>, status: Option<&str>, result: Option<&str>) -> Option<String> {
    let ended = match (code?, status?) {
        ("0" | "", _) => None,
        (CLD_EXITED, status) => Some(format!("exit code {status}")),
        (_, signal) => Some(format!("signal {signal}")),
    };
    let reason = result.filter(|result| !matches!(*result, "success" | "exit-code" | "signal"));
    match (ended, reason) {
        (Some(ended), Some(reason)) => Some(format!("{ended} ({reason})")),
        (ended, reason) => ended.or_else(|| reason.map(str::to_owned)),
    }
}

/// Whether this can only be the name of one unit: no option, no pattern, no path.
fn is_name(unit: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.' | b'@' | b'\\')
    };
    !unit.is_empty() && !unit.starts_with(['-', '.']) && unit.bytes().all(allowed)
}

impl<'a> Manager<'a> {
    pub(super) fn new(tools: &'a Tools, scope: Scope) -> Self {
        Self { tools, scope }
    }

    pub(super) fn state(self, unit: &str, deadline: Deadline) -> Result<JobState, ManagerError> {
        let said = self.call(&["show", PROPERTIES], unit, deadline)?;
        if !said.is_success() || !said.output.contains("ActiveState=") {
            return Err(refusal(&said, "ask after", unit));
        }
        let shown = parse_show(&said.output);
        Ok(JobState {
            loaded: shown.loaded,
            active: shown.active,
            pid: shown.pid.and_then(Identity::of),
            last_exit: shown.last_exit,
            restarts: shown.restarts,
            word: shown.word,
        })
    }

    pub(super) fn start(self, unit: &str, deadline: Deadline) -> Result<Identity, ManagerError> {
        let before = self.known(unit, deadline)?;
        if let (Active::Running, Some(process)) = (before.active, before.pid)
            && settles(&process)
        {
            return Ok(process);
        }
        self.order("start", unit, before.active, deadline)?;
        self.wait_until_alive(unit, deadline, None)
    }

    pub(super) fn restart(self, unit: &str, deadline: Deadline) -> Result<Identity, ManagerError> {
        let before = self.known(unit, deadline)?;
        self.order("restart", unit, before.active, deadline)?;
        self.wait_until_alive(unit, deadline, before.pid.as_ref())
    }

    pub(super) fn stop(self, unit: &str, deadline: Deadline) -> Result<(), ManagerError> {
        let before = self.state(unit, deadline)?;
        let said = self.call(&["stop"], unit, deadline)?;
        if !said.is_success() && !self.state(unit, deadline)?.is_at_rest() {
            return Err(refusal(&said, "stop", unit));
        }
        self.wait_until_gone(unit, before.pid.as_ref(), deadline)
    }

    /// A kill alone would only make a unit with `Restart=` start again, so the stop is ordered
    /// first, and not waited for.
    pub(super) fn kill(self, unit: &str, deadline: Deadline) -> Result<(), ManagerError> {
        let before = self.state(unit, deadline)?;
        for order in [&["stop", "--no-block"][..], &["kill", "--signal=SIGKILL"]] {
            let said = self.call(order, unit, deadline)?;
            if !said.is_success() && !self.state(unit, deadline)?.is_at_rest() {
                return Err(refusal(&said, "kill", unit));
            }
        }
        self.wait_until_gone(unit, before.pid.as_ref(), deadline)
    }

    /// The state of a unit that may be started.
    fn known(self, unit: &str, deadline: Deadline) -> Result<JobState, ManagerError> {
        let state = self.state(unit, deadline)?;
        match state.loaded {
            Loaded::Yes => Ok(state),
            Loaded::No => Err(ManagerError::Unknown { name: unit.to_owned(), manager: MANAGER }),
            Loaded::Barred => Err(ManagerError::Refused {
                what: format!("start `{unit}`"),
                words: "it is masked, or there is a mistake in its file".to_owned(),
            }),
        }
    }

    fn order(
        self,
        verb: &str,
        unit: &str,
        before: Active,
        deadline: Deadline,
    ) -> Result<(), ManagerError> {
        if before == Active::Failed {
            // It also empties the count of starts, past which systemd refuses. If it cannot be
            // done, the start says why.
            self.call(&["reset-failed"], unit, deadline)?;
        }
        let said = self.call(&[verb], unit, deadline)?;
        if said.is_success() {
            return Ok(());
        }
        let state = self.state(unit, deadline)?;
        match state.active {
            Active::Failed | Active::Waiting => Err(not_alive(unit, state)),
            Active::Starting
            | Active::Running
            | Active::Stopping
            | Active::Ended
            | Active::Unclear => Err(refusal(&said, verb, unit)),
        }
    }

    fn wait_until_alive(
        self,
        unit: &str,
        deadline: Deadline,
        not: Option<&Identity>,
    ) -> Result<Identity, ManagerError> {
        loop {
            let state = self.state(unit, deadline)?;
            let process = state.pid.as_ref().filter(|process| Some(*process) != not);
            match (state.active, process) {
                (Active::Running, Some(process)) => {
                    if settles(process) {
                        return Ok(process.clone());
                    }
                    return Err(not_alive(unit, self.state(unit, deadline)?));
                }
                (Active::Failed | Active::Ended | Active::Waiting, None) => {
                    return Err(not_alive(unit, state));
                }
                (
                    Active::Starting
                    | Active::Running
                    | Active::Stopping
                    | Active::Waiting
                    | Active::Ended
                    | Active::Failed
                    | Active::Unclear,
                    _,
                ) => {}
            }
            deadline.pause(|| format!("see `{unit}` run"))?;
        }
    }

    fn wait_until_gone(
        self,
        unit: &str,
        before: Option<&Identity>,
        deadline: Deadline,
    ) -> Result<(), ManagerError> {
        loop {
            let is_gone = before.is_none_or(|process| !process.is_alive());
            if is_gone && self.state(unit, deadline)?.is_at_rest() {
                return Ok(());
            }
            deadline.pause(|| format!("see `{unit}` stopped"))?;
        }
    }

    fn call(self, verb: &[&str], unit: &str, deadline: Deadline) -> Result<Said, ManagerError> {
        if !is_name(unit) {
            return Err(ManagerError::Name { name: unit.to_owned() });
        }
        let scope = match self.scope {
            Scope::User => "--user",
            Scope::System => "--system",
        };
        let mut arguments = vec![scope, "--no-pager", "--no-ask-password"];
        arguments.extend(verb);
        arguments.extend(["--", unit]);
        tool::call(&self.tools.systemctl, self.tools.path.as_deref(), &arguments, deadline)
    }
}

fn not_alive(unit: &str, state: JobState) -> ManagerError {
    ManagerError::NotAlive { name: unit.to_owned(), state: Box::new(state) }
}

fn refusal(said: &Said, verb: &str, unit: &str) -> ManagerError {
    let words = said.words();
    if NO_MANAGER.iter().any(|sign| words.contains(sign)) {
        return ManagerError::Unreachable { manager: MANAGER, words };
    }
    ManagerError::Refused { what: format!("{verb} `{unit}`"), words }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 252 has them.
    const RUNNING: &str = "MainPID=14447\nResult=success\nNRestarts=0\nExecMainCode=0\n\
        ExecMainStatus=0\nLoadState=loaded\nActiveState=active\nSubState=running\n";
    const FAILED: &str = "MainPID=0\nResult=exit-code\nNRestarts=5\nExecMainCode=1\n\
        ExecMainStatus=4\nLoadState=loaded\nActiveState=failed\nSubState=failed\n";
    const NOT_FOUND: &str = "MainPID=0\nResult=success\nNRestarts=0\nExecMainCode=0\n\
        ExecMainStatus=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n";

    #[test]
    fn a_unit_that_runs_is_read_with_its_process() {
        let shown = parse_show(RUNNING);
        assert_eq!(
            (shown.loaded, shown.active, shown.pid),
            (Loaded::Yes, Active::Running, Some(14447))
        );
        assert_eq!((shown.last_exit, shown.restarts), (None, Some(0)));
        assert_eq!(shown.word, "active (running)");
    }

    #[test]
    fn a_unit_that_failed_says_how_it_ended() {
        let shown = parse_show(FAILED);
        assert_eq!((shown.active, shown.pid, shown.restarts), (Active::Failed, None, Some(5)));
        assert_eq!(shown.last_exit.as_deref(), Some("exit code 4"));
    }

    #[test]
    fn a_unit_without_a_file_is_not_loaded() {
        let shown = parse_show(NOT_FOUND);
        assert_eq!((shown.loaded, shown.active), (Loaded::No, Active::Ended));
    }

    #[test]
    fn each_of_the_words_of_systemd_has_its_meaning() {
        let table = [
            ("active", "running", Active::Running),
            ("active", "exited", Active::Ended),
            ("reloading", "reload", Active::Running),
            ("activating", "start", Active::Starting),
            ("activating", "auto-restart", Active::Waiting),
            ("activating", "auto-restart-queued", Active::Waiting),
            ("deactivating", "stop-sigterm", Active::Stopping),
            ("inactive", "dead", Active::Ended),
            ("failed", "failed", Active::Failed),
            ("maintenance", "x", Active::Unclear),
            ("", "", Active::Unclear),
        ];
        for (active, sub, wanted) in table {
            assert_eq!(parse_active_state(active, sub), wanted, "{active} ({sub})");
        }
    }

    #[test]
    fn an_end_by_a_signal_and_an_end_by_a_limit_are_told_apart() {
        let exit = |code, status, result| parse_exit(Some(code), Some(status), Some(result));
        assert_eq!(exit("2", "9", "signal").as_deref(), Some("signal 9"));
        assert_eq!(exit("3", "6", "core-dump").as_deref(), Some("signal 6 (core-dump)"));
        assert_eq!(
            exit("1", "1", "start-limit-hit").as_deref(),
            Some("exit code 1 (start-limit-hit)")
        );
        assert_eq!(exit("0", "0", "timeout").as_deref(), Some("timeout"));
        assert_eq!(exit("0", "0", "success"), None);
    }

    #[test]
    fn a_pattern_or_an_option_is_no_name() {
        for name in ["nginx.service", "b@7.service", "dev-a\\x2db.mount", "a_b:c.timer"] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["", "*", "ngin?.service", "[a].service", "-f", "--all", "a b", "/etc/x", "a\nb"]
        {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_manager_that_cannot_be_reached_has_not_refused() {
        let unreachable = [
            "Failed to connect to bus: No medium found",
            "Failed to connect to bus: Connection refused",
            "Failed to connect to user scope bus via local transport: No such file or directory",
            "System has not been booted with systemd as init system (PID 1). Can't operate.\n\
             Failed to connect to bus: Host is down",
            "Failed to get properties: Connection timed out",
        ];
        for errors in unreachable {
            let said = Said { code: 1, output: String::new(), errors: errors.to_owned() };
            assert!(refusal(&said, "start", "a.service").is_unknown(), "{errors}");
        }
        let errors = "Failed to start a.service: Access denied\n".to_owned();
        let said = Said { code: 4, output: String::new(), errors };
        assert_eq!(
            refusal(&said, "start", "a.service").to_string(),
            "cannot start `a.service`: Failed to start a.service: Access denied"
        );
    }
}
