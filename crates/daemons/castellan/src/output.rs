//! What components write: each into a named pipe of its own that castellan reads.
//!
//! A named pipe that its writer has open for reading too has a reader as long as it has a writer:
//! when castellan dies, nobody's write fails. What is written meanwhile waits in the pipe, and the
//! next castellan reads on. The end of a component is never read from its pipe: something that it
//! left behind may hold it open for ever.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use rustix::fs::OFlags;
use sanctum_daemon::Shutdown;
use sanctum_host::file;
use sanctum_host::log_writer::LogWriter;
use sanctum_host::rotating::Archivist;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What is read of one pipe before others have their turn.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// What is still read of a pipe at the end.
const LAST_BYTES_MAX: usize = 1024 * 1024;

/// The pipe of one component, while it is kept.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: PathBuf,
    moved: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Output {
    /// Makes the pipe, or takes the one that is there, and begins to read it into the log.
    pub(crate) fn open(
        pipe: PathBuf,
        log: &Path,
        log_bytes_max: u64,
        archivist: Archivist,
        tasks: &Shutdown,
    ) -> io::Result<Self> {
        make(&pipe)?;
        // One that has written nothing has a log too: an empty one.
        file::make_private_directory(log.parent().unwrap_or(Path::new("/")))?;
        OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        // Open for writing too, so that the last writer's end is no end of the file.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let reader = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&pipe)?;
        let reader = registered(OwnedFd::from(reader))?;
        let moved = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let writer = LogWriter::new(log.to_owned(), log_bytes_max, archivist);
        tasks.spawn(keep(reader, writer, moved.clone(), stop.clone()));
        Ok(Self { pipe, moved, stop })
    }

    /// The end that a child writes to.
    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        Ok(OpenOptions::new().read(true).write(true).open(&self.pipe)?.into())
    }

    /// Bytes that came so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits for a descriptor from here on.
#[expect(unsafe_code, reason = "tokio cannot know that a descriptor stays the same")]
pub(crate) fn registered(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is the same descriptor until it is dropped, and it is moved in here.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

fn make(pipe: &Path) -> io::Result<()> {
    file::make_private_directory(pipe.parent().unwrap_or(Path::new("/")))?;
    match fs::symlink_metadata(pipe) {
        Ok(about) if about.file_type().is_fifo() => return Ok(()),
        Ok(_) => fs::remove_file(pipe)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fifo(pipe)
}

#[cfg(target_os = "linux")]
fn fifo(pipe: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

#[cfg(not(target_os = "linux"))]
fn fifo(pipe: &Path) -> io::Result<()> {
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(pipe).output()?;
    if made.status.success() { Ok(()) } else { Err(io::Error::other("mkfifo cannot make it")) }
}

/// Reads until it is told to stop; then what is still there.
async fn keep(
    reader: AsyncFd<OwnedFd>,
    mut writer: LogWriter,
    moved: Arc<AtomicU64>,
    stop: CancellationToken,
) {
    let started = Instant::now();
    loop {
        let deadline = writer.deadline().map(|deadline| started + deadline);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            ready = reader.readable() => {
                let Ok(mut ready) = ready else { break };
                let read = ready.try_io(|reader| piece(reader.get_ref(), &mut writer, started));
                match read {
                    Ok(Ok(count)) => drop(moved.fetch_add(count as u64, Ordering::Relaxed)),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "cannot read what a component writes");
                        break;
                    }
                    Err(_would_block) => {}
                }
            }
            () = until(deadline) => writer.flush(started.elapsed()),
        }
    }
    let mut left = LAST_BYTES_MAX;
    while let Ok(count) = piece(reader.get_ref(), &mut writer, started) {
        if count == 0 || count > left {
            break;
        }
        left -= count;
    }
    writer.finish(started.elapsed());
}

fn piece(reader: &OwnedFd, writer: &mut LogWriter, started: Instant) -> io::Result<usize> {
    let mut buffer = [0; PIECE_BYTES_MAX];
    let count = rustix::io::read(reader.as_fd(), &mut buffer)?;
    writer.write(&buffer[..count], started.elapsed());
    Ok(count)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A place for what a probing program says; a little of it.
pub(crate) fn scratch() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((File::from(OwnedFd::from(reader)), OwnedFd::from(writer)))
}
