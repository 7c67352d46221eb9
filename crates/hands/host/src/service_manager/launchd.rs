//! launchd, through `launchctl`.
//!
//! What has to be known of it: `bootout` answers before the job is gone, and until it is,
//! `bootstrap` answers EIO (5); so it does for a job that is disabled, and for one that is loaded.
//! Exit code 0 says that an order was taken. A job with `KeepAlive` comes back from any signal, so
//! stopping is `bootout`, and that needs a property list that will load it again. `kickstart -k`
//! restarts in place, without any of that, and is preferred. `bootout` of a domain without a label
//! would end the whole session. The text of `print` is for people: only its plainest lines are
//! used, and what is missing is unclear.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::getuid;
use sanctum_model::Scope;

use super::tool::{self, Said};
use super::{Active, Deadline, JobState, Loaded, ManagerError, Tools, settles};
use crate::process::{self, Identity};

const MANAGER: &str = "launchd";
/// How long EIO from `bootstrap` is taken for a job that is still going away.
pub const EIO_MAX: Duration = Duration::from_secs(15);
/// How long a job that was kicked is given to have a process.
const SPAWN_MAX: Duration = Duration::from_secs(3);
/// How long a job that was loaded is given to start by itself, before it is kicked.
const LOAD_MAX: Duration = Duration::from_secs(1);
/// The most of a property list that is looked at.
const PLIST_BYTES_MAX: u64 = 1024 * 1024;

/// A job as `launchctl print` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// What it is doing.
    pub active: Active,
    /// Its process, alive or not.
    pub pid: Option<u32>,
    /// How it last ended.
    pub last_exit: Option<String>,
    /// How often it was started.
    pub runs: Option<u32>,
    /// Its `state`.
    pub word: String,
}

/// Reads what `launchctl print DOMAIN/LABEL` says. Only lines of the job itself count: its blocks
/// have a `state` of their own, and arguments are printed raw, whatever they hold.
pub fn parse_print(text: &str) -> Printed {
    let get = |key: &str| {
        let fields = own_lines(text).filter_map(|line| line.split_once(" = "));
        fields.filter(|(name, _)| *name == key).map(|(_, value)| value.trim()).next()
    };
    let number = |key: &str| get(key).and_then(|value| value.parse().ok());
    let word = get("state").unwrap_or_default();
    Printed {
        active: parse_state(word),
        pid: number("pid").filter(|pid| *pid != 0),
        last_exit: parse_exit(get("last exit code"), get("last terminating signal")),
        runs: number("runs"),
        word: word.to_owned(),
    }
}

/// The lines between `LABEL = {` and `}` that stand in no inner block.
fn own_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.lines().filter_map(move |line| {
        let own = line.strip_prefix('\t').filter(|own| !own.starts_with('\t'))?;
        if is_inside {
            is_inside = own.trim_end() != "}";
            return None;
        }
        is_inside = own.trim_end().ends_with(" = {");
        (!is_inside).then_some(own)
    })
}

fn parse_state(word: &str) -> Active {
    match word {
        "running" => Active::Running,
        "xpcproxy" | "spawning" => Active::Starting,
        "SIGTERMed" | "SIGKILLed" | "exiting" => Active::Stopping,
        "spawn scheduled" => Active::Waiting,
        "not running" | "waiting" | "exited" => Active::Ended,
        _ => Active::Unclear,
    }
}

/// launchd prints the signal in place of the code, and a code of `sysexits.h` with its name.
fn parse_exit(code: Option<&str>, signal: Option<&str>) -> Option<String> {
    if let Some(signal) = signal {
        return Some(format!("signal {signal}"));
    }
    code.filter(|code| !code.starts_with('(')).map(|code| format!("exit code {code}"))
}

/// Whether `launchctl print-disabled DOMAIN` says that a label is disabled. Older releases said
/// `true` for `disabled`.
pub fn parse_disabled(text: &str, label: &str) -> bool {
    let entries = text.lines().filter_map(|line| line.trim().split_once(" => "));
    entries
        .filter(|(name, _)| name.trim_matches('"') == label)
        .any(|(_, word)| matches!(word.trim(), "disabled" | "true"))
}

/// What a code other than 0 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// ESRCH, or no such service: it is not loaded.
    NoJob,
    /// There is no such domain, or one that takes no jobs: nobody is logged in.
    NoDomain,
    /// EIO, EEXIST, EALREADY, EINPROGRESS: an earlier order is not done, or it is done already.
    Busy,
    /// It is disabled.
    Disabled,
    /// Anything else.
    Other,
}

fn read_refusal(said: &Said) -> Refusal {
    let words = said.words();
    match said.code {
        _ if words.contains("Could not find domain") => Refusal::NoDomain,
        112 | 125 => Refusal::NoDomain,
        3 | 113 => Refusal::NoJob,
        5 | 17 | 36 | 37 => Refusal::Busy,
        119 => Refusal::Disabled,
        _ => Refusal::Other,
    }
}

/// Whether this can only be the label of one job: `bootout` of a domain with nothing after it
/// would take the whole domain.
fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    !label.is_empty() && !label.starts_with('-') && label.bytes().all(allowed)
}

/// Looks whether a property list would load its job again: launchd takes none that others may
/// write to.
///
/// # Errors
///
/// What is wrong with it.
fn check_plist(plist: &Path, label: &str) -> Result<(), String> {
    let mut text = Vec::new();
    let read = |text: &mut Vec<u8>| File::open(plist)?.take(PLIST_BYTES_MAX).read_to_end(text);
    read(&mut text).map_err(|error| error.to_string())?;
    let metadata = fs::metadata(plist).map_err(|error| error.to_string())?;
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err("others than its owner may write to it".to_owned());
    }
    if text.starts_with(b"bplist") {
        return Ok(());
    }
    let label = format!("<string>{label}</string>");
    if String::from_utf8_lossy(&text).contains(&label) {
        Ok(())
    } else {
        Err(format!("it has no `{label}`"))
    }
}

/// The domain a job is in or belongs in, and the job if it is there.
struct Place {
    domain: String,
    job: Option<JobState>,
}

/// Whether a job has been told to start, and which process it had before.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kicked {
    No,
    Yes { before: Option<Identity> },
}

impl Kicked {
    /// Whether a process is the one that the kick was to end.
    fn had(&self, process: &Identity) -> bool {
        match self {
            Self::No => false,
            Self::Yes { before } => before.as_ref() == Some(process),
        }
    }
}

/// launchd, as one user or the machine sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manager<'a> {
    tools: &'a Tools,
    scope: Scope,
}

impl<'a> Manager<'a> {
    pub(super) fn new(tools: &'a Tools, scope: Scope) -> Self {
        Self { tools, scope }
    }

    pub(super) fn state(self, label: &str, deadline: Deadline) -> Result<JobState, ManagerError> {
        Ok(self.find(label, deadline)?.job.unwrap_or_else(|| JobState {
            loaded: Loaded::No,
            active: Active::Ended,
            pid: None,
            last_exit: None,
            restarts: None,
            word: "not loaded".to_owned(),
        }))
    }

    pub(super) fn start(
        self,
        label: &str,
        plist: &Path,
        deadline: Deadline,
    ) -> Result<Identity, ManagerError> {
        self.raise(label, plist, Kicked::No, deadline)
    }

    pub(super) fn restart(
        self,
        label: &str,
        plist: &Path,
        deadline: Deadline,
    ) -> Result<Identity, ManagerError> {
        let Place { domain, job } = self.find(label, deadline)?;
        let Some(job) = job else { return self.raise(label, plist, Kicked::No, deadline) };
        let said = self.call(&["kickstart", "-k", &format!("{domain}/{label}")], deadline)?;
        if !said.is_success() {
            match read_refusal(&said) {
                Refusal::NoJob | Refusal::Busy => {}
                Refusal::NoDomain | Refusal::Disabled | Refusal::Other => {
                    return Err(Self::refusal(&said, "restart", &domain, label));
                }
            }
        }
        self.raise(label, plist, Kicked::Yes { before: job.pid }, deadline)
    }

    pub(super) fn stop(
        self,
        label: &str,
        plist: &Path,
        deadline: Deadline,
    ) -> Result<(), ManagerError> {
        match self.unload(label, plist, deadline)? {
            Some((_, process)) => self.wait_until_gone(label, process.as_ref(), deadline),
            None => Ok(()),
        }
    }

    /// Unloads the job and kills what is left of it: by launchd while that still knows it, by
    /// identity once it does not.
    pub(super) fn kill(
        self,
        label: &str,
        plist: &Path,
        deadline: Deadline,
    ) -> Result<(), ManagerError> {
        let Some((target, process)) = self.unload(label, plist, deadline)? else { return Ok(()) };
        self.call(&["kill", "SIGKILL", &target], deadline)?;
        if let Some(process) = process.as_ref().filter(|process| process.is_alive()) {
            process::kill_group(process.pid);
        }
        self.wait_until_gone(label, process.as_ref(), deadline)
    }

    /// Orders a job to go, and says what it was and its process; nothing if it is not there.
    fn unload(
        self,
        label: &str,
        plist: &Path,
        deadline: Deadline,
    ) -> Result<Option<(String, Option<Identity>)>, ManagerError> {
        let Place { domain, job } = self.find(label, deadline)?;
        let Some(job) = job else { return Ok(None) };
        check_plist(plist, label).map_err(|why| ManagerError::NoWayBack {
            name: label.to_owned(),
            plist: plist.to_owned(),
            why,
        })?;
        let target = format!("{domain}/{label}");
        let said = self.call(&["bootout", &target], deadline)?;
        if said.is_success() {
            return Ok(Some((target, job.pid)));
        }
        match read_refusal(&said) {
            Refusal::NoJob | Refusal::Busy => Ok(Some((target, job.pid))),
            Refusal::NoDomain | Refusal::Disabled | Refusal::Other => {
                Err(Self::refusal(&said, "stop", &domain, label))
            }
        }
    }

    fn wait_until_gone(
        self,
        label: &str,
        before: Option<&Identity>,
        deadline: Deadline,
    ) -> Result<(), ManagerError> {
        loop {
            let is_dead = before.is_none_or(|process| !process.is_alive());
            if is_dead && self.find(label, deadline)?.job.is_none() {
                return Ok(());
            }
            deadline.pause(|| format!("see `{label}` stopped"))?;
        }
    }

    /// Brings a job to life from wherever it is: loads it if it is not, kicks it if nothing else
    /// starts it, and waits for a process to stay that is not the one from before the kick. When
    /// the time is up while it cannot be loaded, the reason is what `launchctl` said last.
    fn raise(
        self,
        label: &str,
        plist: &Path,
        kicked: Kicked,
        deadline: Deadline,
    ) -> Result<Identity, ManagerError> {
        let mut busy = None;
        let raised = self.raise_until(label, plist, kicked, &mut busy, deadline);
        match (raised, busy) {
            (Err(ManagerError::TimedOut { .. }), Some(busy)) => Err(busy),
            (raised, _) => raised,
        }
    }

    fn raise_until(
        self,
        label: &str,
        plist: &Path,
        mut kicked: Kicked,
        busy: &mut Option<ManagerError>,
        deadline: Deadline,
    ) -> Result<Identity, ManagerError> {
        let mut eio = None;
        let mut spawn = match kicked {
            Kicked::No => deadline.at_most(Duration::ZERO),
            Kicked::Yes { .. } => deadline.at_most(SPAWN_MAX),
        };
        loop {
            let Place { domain, job } = self.find(label, deadline)?;
            let Some(job) = job else {
                let eio = *eio.get_or_insert_with(|| deadline.at_most(EIO_MAX));
                *busy = self.load(&domain, label, plist, eio, deadline)?;
                spawn = deadline.at_most(LOAD_MAX);
                deadline.pause(|| format!("load `{label}`"))?;
                continue;
            };
            *busy = None;
            let process = job.pid.as_ref().filter(|process| !kicked.had(process));
            if let (Active::Running | Active::Unclear, Some(process)) = (job.active, process) {
                if settles(process) {
                    return Ok(process.clone());
                }
                return Err(not_alive(label, self.state(label, deadline)?));
            }
            match job.active {
                Active::Waiting | Active::Ended | Active::Failed | Active::Unclear => {
                    if spawn.left().is_zero() {
                        match kicked {
                            Kicked::Yes { .. } => return Err(not_alive(label, job)),
                            Kicked::No => self.kick(&domain, label, deadline)?,
                        }
                        kicked = Kicked::Yes { before: None };
                        spawn = deadline.at_most(SPAWN_MAX);
                    }
                }
                Active::Starting | Active::Running | Active::Stopping => {}
            }
            deadline.pause(|| format!("see `{label}` run"))?;
        }
    }

    /// Loads a job. EIO may mean that the old one is still going away, so until `eio` it is not
    /// an error but an answer, with which the caller looks and comes back.
    fn load(
        self,
        domain: &str,
        label: &str,
        plist: &Path,
        eio: Deadline,
        deadline: Deadline,
    ) -> Result<Option<ManagerError>, ManagerError> {
        check_plist(plist, label).map_err(|why| ManagerError::Refused {
            what: format!("load `{label}` from `{}`", plist.display()),
            words: why,
        })?;
        let path = plist.to_string_lossy();
        let said = self.call(&["bootstrap", domain, &path], deadline)?;
        if said.is_success() {
            return Ok(None);
        }
        match read_refusal(&said) {
            Refusal::Busy if !eio.left().is_zero() => {
                if self.is_disabled(domain, label, deadline)? {
                    return Err(disabled(domain, label));
                }
                Ok(Some(Self::refusal(&said, "load", domain, label)))
            }
            Refusal::Busy
            | Refusal::NoJob
            | Refusal::NoDomain
            | Refusal::Disabled
            | Refusal::Other => Err(Self::refusal(&said, "load", domain, label)),
        }
    }

    fn kick(self, domain: &str, label: &str, deadline: Deadline) -> Result<(), ManagerError> {
        let said = self.call(&["kickstart", &format!("{domain}/{label}")], deadline)?;
        if said.is_success() {
            return Ok(());
        }
        match read_refusal(&said) {
            Refusal::NoJob | Refusal::Busy => Ok(()),
            Refusal::NoDomain | Refusal::Disabled | Refusal::Other => {
                Err(Self::refusal(&said, "start", domain, label))
            }
        }
    }

    fn is_disabled(
        self,
        domain: &str,
        label: &str,
        deadline: Deadline,
    ) -> Result<bool, ManagerError> {
        let said = self.call(&["print-disabled", domain], deadline)?;
        Ok(said.is_success() && parse_disabled(&said.output, label))
    }

    /// Looks for a job in each domain that may have it. Without a session at the screen there is
    /// no `gui` domain; `user` is there as soon as the user has any process.
    fn find(self, label: &str, deadline: Deadline) -> Result<Place, ManagerError> {
        if !is_label(label) {
            return Err(ManagerError::Name { name: label.to_owned() });
        }
        let uid = getuid().as_raw();
        let domains = match self.scope {
            Scope::User => vec![format!("gui/{uid}"), format!("user/{uid}")],
            Scope::System => vec!["system".to_owned()],
        };
        let mut home = None;
        let mut words = String::new();
        for domain in domains {
            let said = self.call(&["print", &format!("{domain}/{label}")], deadline)?;
            if said.is_success() {
                return Ok(Place { domain, job: Some(job(&parse_print(&said.output))) });
            }
            match read_refusal(&said) {
                Refusal::NoJob => home = home.or(Some(domain)),
                Refusal::NoDomain => words = said.words(),
                Refusal::Busy | Refusal::Disabled | Refusal::Other => {
                    return Err(Self::refusal(&said, "ask after", &domain, label));
                }
            }
        }
        let unreachable = || ManagerError::Unreachable { manager: MANAGER, words };
        Ok(Place { domain: home.ok_or_else(unreachable)?, job: None })
    }

    fn call(self, arguments: &[&str], deadline: Deadline) -> Result<Said, ManagerError> {
        tool::call(&self.tools.launchctl, self.tools.path.as_deref(), arguments, deadline)
    }

    fn refusal(said: &Said, verb: &str, domain: &str, label: &str) -> ManagerError {
        match read_refusal(said) {
            Refusal::NoDomain => {
                ManagerError::Unreachable { manager: MANAGER, words: said.words() }
            }
            Refusal::Disabled => disabled(domain, label),
            Refusal::NoJob | Refusal::Busy | Refusal::Other => {
                ManagerError::Refused { what: format!("{verb} `{label}`"), words: said.words() }
            }
        }
    }
}

fn job(printed: &Printed) -> JobState {
    JobState {
        loaded: Loaded::Yes,
        active: printed.active,
        pid: printed.pid.and_then(Identity::of),
        last_exit: printed.last_exit.clone(),
        restarts: printed.runs.map(|runs| runs.saturating_sub(1)),
        word: printed.word.clone(),
    }
}

fn not_alive(label: &str, state: JobState) -> ManagerError {
    ManagerError::NotAlive { name: label.to_owned(), state: Box::new(state) }
}

fn disabled(domain: &str, label: &str) -> ManagerError {
    ManagerError::Disabled {
        name: label.to_owned(),
        remedy: format!("launchctl enable {domain}/{label}"),
    }
}

#[cfg(test)]
mod tests;
