//! Pages: written to the outbox first, then carried by a thread of their own until a target takes
//! them. One that was taken, and not yet put away when we died, is carried twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use crate::journal::{Journal, make_private_directory, replace};
use crate::place::Place;
use crate::pulse::Pulse;
use crate::target::{Parcel, Target};

/// The first wait after nobody took a page; each one after it is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(5);
/// How often the thread shows that it is alive, at least.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Pages that wait, and pages that are kept once they were taken.
const OUTBOX_MAX: usize = 50;
const SENT_MAX: usize = 20;
/// Pages that could not be written down and wait in memory.
const LOOSE_MAX: usize = 16;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// `INCIDENT-ORDER-MOMENT`: in the order of their names they are carried, and a later one of
    /// the same incident and order makes those before it superfluous.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The way to the thread that carries pages.
#[derive(Debug)]
pub(crate) struct Pager {
    outbox: PathBuf,
    journal: Journal,
    carrier: SyncSender<Message>,
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
    pulse: Arc<Pulse>,
    targets: Vec<Target>,
    loose: Vec<Page>,
    wait: Duration,
}

impl Pager {
    /// Starts the thread, which begins with what is in the outbox.
    pub(crate) fn start(
        place: &Place,
        targets: Vec<Target>,
        journal: &Journal,
        pulse: &Arc<Pulse>,
    ) -> Self {
        let (carrier, messages) = mpsc::sync_channel(LOOSE_MAX);
        let own = Carrier {
            place: place.clone(),
            journal: journal.clone(),
            pulse: Arc::clone(pulse),
            targets,
            loose: Vec::new(),
            wait: RETRY_FIRST,
        };
        thread::spawn(move || own.run(&messages));
        Self { outbox: place.outbox(), journal: journal.clone(), carrier }
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
}

impl Carrier {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut retry_at = Instant::now();
        loop {
            self.pulse.carried();
            let now = Instant::now();
            if retry_at <= now {
                retry_at = now + self.carry();
            }
            let wait = retry_at.saturating_duration_since(Instant::now()).min(LOOK_INTERVAL);
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
        let paths = waiting(&self.place.outbox(), OUTBOX_MAX);
        for pair in paths.windows(2) {
            let (name, next) = (name_of(&pair[0]), name_of(&pair[1]));
            if kind(&name) == kind(&next) {
                self.put_away(&pair[0], &name).ok();
            }
        }
        for path in paths.iter().filter(|path| path.exists()) {
            let name = name_of(path);
            let Ok(text) = fs::read_to_string(path) else { continue };
            if !self.hand_over(&name, &text) {
                return self.back_off();
            }
            if let Err(error) = self.put_away(path, &name) {
                self.journal.add("page-not-put-away", &format!("{name}: {error}"));
                return self.back_off();
            }
        }
        while let Some(page) = self.loose.first().cloned() {
            if !self.hand_over(&page.name, &page.text) {
                return self.back_off();
            }
            self.loose.remove(0);
        }
        self.pulse.set_stuck(false);
        self.wait = RETRY_FIRST;
        LOOK_INTERVAL
    }

    fn back_off(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(RETRY_MAX);
        wait
    }

    /// Tries one target after the other until one takes it. Of many failures in a row only the
    /// first round is written down.
    fn hand_over(&self, name: &str, text: &str) -> bool {
        for target in &self.targets {
            self.pulse.carried();
            match target.deliver(Parcel { id: name, text }) {
                Ok(()) => {
                    self.pulse.set_stuck(false);
                    self.journal.add("page-delivered", &format!("{name} to {target}"));
                    return true;
                }
                Err(error) if !self.pulse.is_stuck() => {
                    self.journal.add("page-failed", &format!("{name} to {target}: {error}"));
                }
                Err(_) => {}
            }
        }
        if !self.pulse.set_stuck(true) {
            let why =
                if self.targets.is_empty() { "there is no target" } else { "no target took it" };
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
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Its name without the moment.
fn kind(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(kind, _)| kind)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(pages: &[&str], script: &str) -> (tempfile::TempDir, String) {
        let home = tempfile::tempdir().unwrap();
        let place = Place { home: home.path().to_owned() };
        for directory in [place.own(), place.outbox()] {
            make_private_directory(&directory).unwrap();
        }
        for page in pages {
            fs::write(place.outbox().join(page), format!("{page}\n")).unwrap();
        }
        let taken = home.path().join("taken");
        let script = script.replace("TAKEN", &taken.display().to_string());
        let target = Target::Exec {
            program: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), script],
        };
        let mut carrier = Carrier {
            journal: Journal::at(home.path().join("events.jsonl")),
            place,
            pulse: Arc::new(Pulse::start()),
            targets: vec![target],
            loose: Vec::new(),
            wait: RETRY_FIRST,
        };
        carrier.carry();
        let taken = fs::read_to_string(taken).unwrap_or_default();
        (home, taken)
    }

    #[test]
    fn pages_are_carried_in_order_and_of_reminders_only_the_last() {
        let pages = ["7-1-100", "7-2-300", "7-2-200", "7-3-400", "8-1-50", "half.new"];
        let (home, taken) = carried(&pages, "cat >> TAKEN");
        assert_eq!(taken, "7-1-100\n7-2-300\n7-3-400\n8-1-50\n");
        assert_eq!(waiting(&home.path().join("deadman/sent"), 50).len(), 5);
    }

    #[test]
    fn a_page_that_is_not_taken_holds_those_behind_it_and_stays() {
        let (home, taken) = carried(&["7-1-100", "7-3-400"], "echo tried >> TAKEN; exit 1");
        assert_eq!(taken, "tried\n");
        assert_eq!(waiting(&home.path().join("deadman/outbox"), 50).len(), 2);
    }
}
