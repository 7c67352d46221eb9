//! Pages: written to the outbox first, then carried by a thread of their own until a target takes
//! them. One that was taken, and not yet put away when we died, is carried twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::clock::millis;
use crate::config::Config;
use crate::journal::{Journal, make_private_directory, replace};
use crate::place::Place;
use crate::target::{Parcel, Target};

/// The first wait after nobody took a page; each one after it is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(5);
/// How often the thread shows that it is alive, at least.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Pages that wait, and pages that are kept once they were taken.
const OUTBOX_MAX: usize = 50;
const SENT_MAX: usize = 20;
/// Between two signs of life: one target has 30 s, and what it leaves behind has to be killed.
const ROUND_MAX: Duration = Duration::from_mins(2);
/// Pages that could not be written down and wait in memory.
const LOOSE_MAX: usize = 16;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Of what it is about, and in which order; a later one of the same name takes its place.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The way to the thread that carries pages.
#[derive(Debug)]
pub(crate) struct Pager {
    outbox: PathBuf,
    journal: Journal,
    carrier: SyncSender<Message>,
    beat: Arc<AtomicU64>,
    started: Instant,
}

enum Message {
    Look,
    /// It could not be written down.
    Loose(Page),
}

/// The thread's own side.
struct Carrier {
    place: Place,
    journal: Journal,
    pages: Vec<Target>,
    heartbeats: Vec<Target>,
    heartbeat_interval: Duration,
    loose: Vec<Page>,
    wait: Duration,
    /// Whether the first failure of this row of failures was written down.
    is_failing: AtomicBool,
    beat: Arc<AtomicU64>,
    started: Instant,
}

impl Pager {
    /// Starts the thread, which begins with what is in the outbox.
    pub(crate) fn start(place: &Place, config: &Config, journal: &Journal) -> Self {
        let (carrier, messages) = mpsc::sync_channel(LOOSE_MAX);
        let (beat, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let own = Carrier {
            place: place.clone(),
            journal: journal.clone(),
            pages: config.pages.clone(),
            heartbeats: config.heartbeats.clone(),
            heartbeat_interval: config.heartbeat_interval,
            loose: Vec::new(),
            wait: RETRY_FIRST,
            is_failing: AtomicBool::new(false),
            beat: Arc::clone(&beat),
            started,
        };
        thread::spawn(move || own.run(&messages));
        Self { outbox: place.outbox(), journal: journal.clone(), carrier, beat, started }
    }

    /// Puts a page into the outbox. When this returns it will be carried, whoever dies.
    pub(crate) fn send(&self, page: Page) {
        let message = match replace(&self.outbox.join(&page.name), &page.text) {
            Ok(()) => Message::Look,
            Err(error) => {
                self.journal.add("page-not-kept", &format!("{}: {error}", page.name));
                Message::Loose(page)
            }
        };
        if let Err(
            TrySendError::Full(Message::Loose(page))
            | TrySendError::Disconnected(Message::Loose(page)),
        ) = self.carrier.try_send(message)
        {
            self.journal.add("page-lost", &page.name);
        }
    }

    /// Whether the thread lives and moves.
    pub(crate) fn is_alive(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat) < ROUND_MAX
    }
}

impl Carrier {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut retry_at = Instant::now();
        let mut heartbeat_at = Instant::now();
        loop {
            self.show();
            let now = Instant::now();
            if retry_at <= now {
                retry_at = now + self.carry();
            }
            if heartbeat_at <= now && !self.heartbeats.is_empty() {
                heartbeat_at = now + self.heartbeat_interval;
                self.tell_outside();
            }
            let mut next = retry_at;
            if !self.heartbeats.is_empty() {
                next = next.min(heartbeat_at);
            }
            let wait = next.saturating_duration_since(Instant::now()).min(LOOK_INTERVAL);
            match messages.recv_timeout(wait) {
                Ok(Message::Look) => retry_at = Instant::now(),
                Ok(Message::Loose(page)) => {
                    self.loose.push(page);
                    retry_at = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Carries what waits, the oldest first, and says when to try again.
    fn carry(&mut self) -> Duration {
        let outbox = self.place.outbox();
        for path in waiting(&outbox, OUTBOX_MAX) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if !self.hand_over(&name, &id(&path, &name), &text) {
                return self.back_off();
            }
            if let Err(error) = self.put_away(&path, &name) {
                self.journal.add("page-not-put-away", &format!("{name}: {error}"));
                return self.back_off();
            }
        }
        while let Some(page) = self.loose.first().cloned() {
            if !self.hand_over(&page.name, &page.name, &page.text) {
                return self.back_off();
            }
            self.loose.remove(0);
        }
        self.wait = RETRY_FIRST;
        LOOK_INTERVAL
    }

    fn back_off(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(RETRY_MAX);
        wait
    }

    /// Tries one target after the other until one takes it.
    fn hand_over(&self, name: &str, id: &str, text: &str) -> bool {
        for target in &self.pages {
            self.show();
            match target.deliver(Parcel { id, text }) {
                Ok(()) => {
                    self.is_failing.store(false, Ordering::Relaxed);
                    self.journal.add("page-delivered", &format!("{name} to {target}"));
                    return true;
                }
                Err(error) if !self.is_failing.load(Ordering::Relaxed) => {
                    self.journal.add("page-failed", &format!("{name} to {target}: {error}"));
                }
                Err(_) => {}
            }
        }
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let why =
                if self.pages.is_empty() { "there is no target" } else { "no target took it" };
            self.journal.add("page-waits", &format!("{name}: {why}"));
        }
        false
    }

    fn put_away(&self, path: &Path, name: &str) -> io::Result<()> {
        let sent = self.place.sent();
        make_private_directory(&sent)?;
        fs::rename(path, sent.join(name))?;
        waiting(&sent, SENT_MAX);
        Ok(())
    }

    /// An outside watcher hears nothing while a page cannot be carried: it is the last to notice.
    fn tell_outside(&self) {
        if self.is_failing.load(Ordering::Relaxed) {
            return;
        }
        for target in &self.heartbeats {
            self.show();
            target.beat().ok();
        }
    }

    fn show(&self) {
        self.beat.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }
}

/// The same for each try to carry a page, and another one for the page that takes its place.
fn id(path: &Path, name: &str) -> String {
    let written = fs::metadata(path).and_then(|about| about.modified()).ok();
    let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{name}-{}", millis(since))
}

/// The newest files of a directory of pages, the oldest first; older ones are taken away.
fn waiting(directory: &Path, most: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_page = |path: &PathBuf| path.is_file() && path.extension().is_none_or(|it| it != "new");
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_page).collect();
    paths.sort();
    let surplus = paths.len().saturating_sub(most);
    for path in paths.drain(..surplus) {
        fs::remove_file(path).ok();
    }
    paths
}
