//! The shell around the decision: looks, asks, carries out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock::{self, Clock, Time};
use crate::config::{Config, Limits};
use crate::decide::{Action, Boot, Decision, Durable, Look, News, Switch, Verdict};
use crate::evidence;
use crate::frozen;
use crate::heartbeat;
use crate::journal::{Journal, is_at, make_private_directory, replace};
use crate::lease::{self, Lease, Reading};
use crate::notify::Notify;
use crate::page::{Page, Pager};
use crate::place::Place;
use crate::process::{Identity, Presence};
use crate::pulse::Pulse;
use crate::start;
use crate::state;

/// How often castellan is looked at. Where every look runs programs, not so often.
const LOOK_MAX: Duration = Duration::from_secs(if cfg!(target_os = "linux") { 1 } else { 5 });
const LOOK_MIN: Duration = Duration::from_millis(20);
/// Looks in the time after which a lease is stale.
const LOOKS_PER_STALE: u32 = 10;
/// How often castellan renews its lease.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long a process that was killed may take to be gone.
const KILL_MAX: Duration = Duration::from_secs(5);

/// What keeps the deadman from running.
#[derive(Debug)]
pub(crate) enum WatchError {
    /// Another one guards this state directory.
    Taken,
    /// The state directory is not there any more.
    Gone,
    /// A directory of ours cannot be made.
    Directory(PathBuf, io::Error),
    /// The lock cannot be had.
    Lock(PathBuf, io::Error),
}

/// Looks once, and says what can be told from that.
pub(crate) fn glance(place: &Place, limits: Limits) -> Verdict {
    let time = Clock::start().now();
    let look = look(place, time, &clock::boot(), None);
    Switch::glance(limits, &look)
}

/// Guards castellan until we are killed.
///
/// # Errors
///
/// [`WatchError`], before anything was done.
pub(crate) fn watch(
    place: Place,
    config: &Config,
    notify: Option<Notify>,
) -> Result<(), WatchError> {
    let mut own = lock(&place.lock())?;
    for directory in [place.own(), place.outbox(), place.sent()] {
        make_private_directory(&directory)
            .map_err(|error| WatchError::Directory(directory, error))?;
    }
    let journal = Journal::at(place.chitti());
    let pulse = Arc::new(Pulse::start());
    let pager = Pager::start(&place, config.pages.clone(), &journal, &pulse);
    heartbeat::start(config, &pulse);
    let (clock, boot) = (Clock::start(), clock::boot());
    let durable = state::read(&place.state(), &boot);
    let switch = Switch::new(config.limits.clone(), durable, clock.now().awake);
    let interval = interval(&config.limits, notify.as_ref());
    journal.add("deadman", &greeting(&config.limits, interval));
    let mut watch =
        Watch { place, journal, pager, pulse, clock, boot, switch, notify, host: host() };
    loop {
        let path = watch.place.lock();
        if !is_at(&own, &path) {
            // Somebody clears away what we hold, and may be in the middle of it.
            thread::sleep(interval);
            if !watch.place.home.is_dir() {
                return Err(WatchError::Gone);
            }
            own = lock(&path)?;
        }
        watch.step();
        thread::sleep(interval);
    }
}

struct Watch {
    place: Place,
    journal: Journal,
    pager: Pager,
    pulse: Arc<Pulse>,
    clock: Clock,
    boot: String,
    switch: Switch,
    notify: Option<Notify>,
    host: String,
}

impl Watch {
    fn step(&mut self) {
        let time = self.clock.now();
        let disk_fault = if self.switch.is_in_doubt() { disk_fault(&self.place) } else { None };
        let launched = self.switch.durable().launched.as_ref();
        let launched = launched.map_or(Presence::Gone, Identity::presence);
        let look = look(&self.place, time, &self.boot, self.switch.subject());
        let look = Look { launched, disk_fault, ..look };
        let before = self.switch.durable().clone();
        let Decision { verdict, actions } = self.switch.on(&look);
        // First what the next deadman must know, should this one die in the middle of it.
        if *self.switch.durable() != before {
            self.keep(self.switch.durable());
        }
        self.perform(actions);
        self.pulse.looked();
        if let Some(notify) = &mut self.notify
            && self.pulse.is_alive()
        {
            notify.tell(&verdict.to_string(), self.clock.now().awake);
        }
    }

    fn keep(&self, durable: &Durable) {
        if let Err(error) = state::write(&self.place.state(), &self.boot, durable) {
            self.journal.add("state-not-kept", &error.to_string());
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut may_start = true;
        for action in actions {
            match action {
                Action::Journal { what, detail } => self.journal.add(what, &detail),
                Action::Capture { of, reason } => self.capture(&of, &reason),
                Action::Thaw => self.thaw(),
                Action::Kill(identity) => may_start &= self.kill(&identity),
                Action::Start(lease) if may_start => self.start(&lease),
                Action::Start(_) => self.journal.add("start-held", "the old one is still there"),
                Action::Page { news, incident, reason } => self.page(news, incident, &reason),
            }
        }
    }

    fn capture(&self, of: &Identity, reason: &str) {
        match evidence::capture(&self.place, of, reason) {
            Ok(directory) => self.journal.add("evidence", &directory.display().to_string()),
            Err(error) => self.journal.add("evidence-failed", &error.to_string()),
        }
    }

    fn thaw(&self) {
        for done in frozen::thaw(&self.place.frozen(), &self.place.home) {
            self.journal.add(done.what, &done.detail);
        }
    }

    /// SIGKILL and no gentler signal: told to stop, castellan would begin to stop its children;
    /// killed, it leaves them to the next one.
    fn kill(&self, identity: &Identity) -> bool {
        let pid = identity.pid;
        let sent = identity.signal("KILL");
        let is_gone = match &sent {
            Ok(()) => identity.is_gone_within(KILL_MAX),
            Err(_) => identity.presence() == Presence::Gone,
        };
        match (is_gone, sent) {
            (true, _) => self.journal.add("killed", &format!("castellan, pid {pid}")),
            (false, Ok(())) => self.journal.add("kill-failed", &format!("pid {pid} does not die")),
            (false, Err(error)) => self.journal.add("kill-failed", &format!("pid {pid}: {error}")),
        }
        is_gone
    }

    fn start(&mut self, lease: &Lease) {
        match start::start(lease, &self.place.castellan_log()) {
            Ok(pid) => {
                self.journal.add("started", &format!("{} as pid {pid}", lease.program));
                if let Some(identity) = Identity::of(pid) {
                    self.switch.on_launched(identity);
                    self.keep(self.switch.durable());
                }
            }
            Err(error) => self.journal.add("start-failed", &format!("{}: {error}", lease.program)),
        }
    }

    fn page(&self, news: News, incident: u64, reason: &str) {
        let (order, headline) = match news {
            News::Down => (1, "castellan is down"),
            News::StillDown => (2, "castellan is still down"),
            News::Resolved => (3, "castellan is back"),
            News::StoodDown => (3, "castellan is guarded no more"),
        };
        let name = format!("{incident}-{order}-{}", clock::wall_ms());
        let mut lines = vec![
            format!("{headline} on {}", self.host),
            reason.to_owned(),
            format!("state directory: {}", self.place.home.display()),
        ];
        if matches!(news, News::Down | News::StillDown) {
            let evidence = evidence::newest(&self.place.own());
            lines.extend(evidence.map(|path| format!("evidence: {}", path.display())));
            let word = evidence::tail(&self.place.castellan_log(), 1).ok();
            lines.extend(word.map(|word| format!("its log ends: {}", crate::tool::clip(&word))));
        }
        lines.push(format!("page: {name}\n"));
        let text = lines.join("\n");
        self.journal.add("page", &format!("{name}: {headline}: {reason}"));
        self.pager.send(Page { name, text });
    }
}

fn look(place: &Place, time: Time, boot: &str, subject: Option<&Identity>) -> Look {
    let reading = lease::read(&place.lease(), &place.home);
    let identity = match &reading {
        Reading::Lease(lease) => Some(&lease.identity),
        Reading::Absent | Reading::Torn(_) | Reading::Foreign(_) => subject,
    };
    let process = identity.map_or(Presence::Unknown, Identity::presence);
    let boot = match &reading {
        Reading::Lease(lease) if !is_this_boot(lease, boot, process) => Boot::Earlier,
        Reading::Lease(_) | Reading::Absent | Reading::Torn(_) | Reading::Foreign(_) => Boot::This,
    };
    Look { time, reading, process, launched: Presence::Gone, boot, disk_fault: None }
}

/// macOS names a boot by its moment, and moves that when the clock is set. But there the start of
/// a process is a date, so one that is alive was started since boot.
fn is_this_boot(lease: &Lease, boot: &str, process: Presence) -> bool {
    lease.boot == boot || (!cfg!(target_os = "linux") && process == Presence::Alive)
}

fn greeting(limits: &Limits, interval: Duration) -> String {
    let warning = if limits.stale_after < RENEWAL * 3 {
        "; `stale_after` is shorter than three renewals of castellan's lease"
    } else {
        ""
    };
    format!("looking at castellan every {interval:?}{warning}")
}

fn interval(limits: &Limits, notify: Option<&Notify>) -> Duration {
    let most = notify.map_or(LOOK_MAX, |notify| LOOK_MAX.min(notify.interval() / 2));
    (limits.stale_after / LOOKS_PER_STALE).min(most).max(LOOK_MIN)
}

/// Why castellan could not renew its lease even if it works.
fn disk_fault(place: &Place) -> Option<String> {
    let path = place.lease().with_file_name("deadman.trial");
    let trial = replace(&path, "may anything be written?\n");
    fs::remove_file(&path).ok();
    trial.err().map(|error| error.to_string())
}

/// The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, WatchError> {
    let failed = |error| WatchError::Lock(path.to_owned(), error);
    make_private_directory(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(WatchError::Taken),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn host() -> String {
    let linux = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let ask = || {
        let mut hostname = std::process::Command::new("/bin/hostname");
        crate::tool::run(&mut hostname, "", Duration::from_secs(2)).ok()?.success().ok()
    };
    let name = linux.or_else(ask).unwrap_or_default();
    if name.trim().is_empty() { "this machine".to_owned() } else { name.trim().to_owned() }
}
