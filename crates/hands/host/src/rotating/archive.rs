//! Compresses what was rotated away, on one thread for all files, which lives only while there is
//! something to do.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::{Compression, GzBuilder};

use super::{numbered, packed, with_ending};

/// Fast rather than small: text shrinks to a fifth or less all the same.
const LEVEL: u32 = 3;
/// What is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How long somebody who had opened a file before it was renamed may take to write to it.
const SETTLE: Duration = Duration::from_secs(1);
/// How often a cancelled job is noticed while it waits for that.
const SETTLE_LOOK: Duration = Duration::from_millis(50);
/// How often a file that grew while it was compressed is compressed again.
const TRIES_MAX: u32 = 3;

/// Compresses rotated files in the background, one after another. A clone speaks of the same one.
#[derive(Clone, Debug, Default)]
pub struct Archivist(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Each file has one job at most, so the queue is no longer than there are files.
#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Arc<Job>>,
    thread: Thread,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Absent,
    Working,
}

/// Whether a renamed file can still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settling {
    Settled,
    MayGrow,
}

/// `NAME.1`, to become `NAME.1.gz`.
#[derive(Debug)]
pub(super) struct Job {
    base: PathBuf,
    settled_at: Option<Instant>,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Wanted,
    Cancelled,
    Ended,
}

impl Archivist {
    /// Waits until nothing is left to do. Blocks its thread.
    pub fn wait(&self) {
        let mut queue = lock(&self.0.queue);
        while queue.thread == Thread::Working {
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has `BASE.1` compressed. Where no thread can be had it stays as it is.
    pub(super) fn push(&self, base: &Path, settling: Settling) -> Arc<Job> {
        let settled_at = match settling {
            Settling::Settled => None,
            Settling::MayGrow => Some(Instant::now() + SETTLE),
        };
        let phase = Mutex::new(Phase::Wanted);
        let job = Arc::new(Job { base: base.to_owned(), settled_at, phase });
        let mut queue = lock(&self.0.queue);
        queue.jobs.push_back(Arc::clone(&job));
        if queue.thread == Thread::Absent {
            let shared = Arc::clone(&self.0);
            let builder = thread::Builder::new().name("archivist".to_owned());
            match builder.spawn(move || work(&shared)) {
                Ok(_) => queue.thread = Thread::Working,
                Err(_) => queue.jobs.clear(),
            }
        }
        job
    }
}

impl Job {
    /// After this, its file is as it was or is compressed, and stays so.
    pub(super) fn cancel(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Wanted {
            *phase = Phase::Cancelled;
        }
    }

    fn is_cancelled(&self) -> bool {
        *lock(&self.phase) == Phase::Cancelled
    }

    /// Compresses beside, and puts that in place of the plain one in one step that a `cancel` comes
    /// before or after. What cannot be compressed stays as it is.
    fn run(&self) {
        for _ in 0..TRIES_MAX {
            let done = self.compress();
            let mut phase = lock(&self.phase);
            match done {
                Ok(bytes) if *phase == Phase::Wanted => {
                    let plain = numbered(&self.base, 1);
                    if fs::metadata(&plain).is_ok_and(|about| about.len() != bytes) {
                        continue;
                    }
                    if fs::rename(beside(&self.base), packed(&self.base, 1)).is_ok() {
                        fs::remove_file(plain).ok();
                    }
                }
                Ok(_) | Err(_) => {}
            }
            fs::remove_file(beside(&self.base)).ok();
            *phase = Phase::Ended;
            return;
        }
        fs::remove_file(beside(&self.base)).ok();
    }

    /// The bytes that were compressed.
    fn compress(&self) -> io::Result<u64> {
        let mut plain = File::open(numbered(&self.base, 1))?;
        let beside = beside(&self.base);
        fs::remove_file(&beside).ok();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let origin = format!("inode {}", plain.metadata()?.ino());
        let mut packer = GzBuilder::new().comment(origin).write(file, Compression::new(LEVEL));
        let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
        loop {
            if self.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match plain.read(&mut chunk)? {
                0 if self.settled_at.is_some_and(|at| Instant::now() < at) => {
                    thread::sleep(SETTLE_LOOK);
                }
                0 => break,
                count => {
                    packer.write_all(&chunk[..count])?;
                    bytes += count as u64;
                }
            }
        }
        let file = packer.finish()?;
        // The time of the last line, so that a reader knows the two for one.
        file.set_modified(plain.metadata()?.modified()?)?;
        file.sync_all()?;
        Ok(bytes)
    }
}

/// Where a compressed file is made.
pub(super) fn beside(base: &Path) -> PathBuf {
    with_ending(base, ".1.gz.new")
}

fn work(shared: &Shared) {
    loop {
        let mut queue = lock(&shared.queue);
        let Some(job) = queue.jobs.pop_front() else {
            queue.thread = Thread::Absent;
            shared.changed.notify_all();
            return;
        };
        drop(queue);
        job.run();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
