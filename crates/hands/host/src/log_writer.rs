//! A component's log: whole lines, rotated by their one writer, and never more than its share.
//!
//! What comes is written as it came, line by line, with three exceptions that are each said in the
//! log itself: a line that repeats the one before is counted instead of written; of a flood, what
//! is past the rate is dropped and counted; a line without an end is cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::file;

/// Files a log is parted into: the one that is written and those before it.
const FILES: u64 = 4;
/// The longest line; past it, it is cut in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// What a component may write for long, in bytes a second …
const RATE_BYTES: u64 = 1024 * 1024;
/// … and at once.
const BURST_BYTES: u64 = 8 * 1024 * 1024;
/// A line that is not ended is written after this long.
const PARTIAL_MAX: Duration = Duration::from_secs(1);
/// Repeats and drops are said after this long, if nothing else comes.
const TALLY_MAX: Duration = Duration::from_secs(10);
/// Of a line longer than this no repeat is noticed.
const COMPARED_BYTES_MAX: usize = 512;

/// Writes one component's log.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file_bytes_max: u64,
    file: Option<(File, u64)>,
    partial: Vec<u8>,
    partial_since: Duration,
    last: Vec<u8>,
    repeats: u64,
    dropped: (u64, u64),
    tally_since: Duration,
    tokens: u64,
    refilled: Duration,
}

impl LogWriter {
    /// A writer for `path`, which with its older files takes `bytes_max` at most. Nothing is
    /// opened until something is written.
    pub fn new(path: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self {
            path: path.into(),
            file_bytes_max: (bytes_max / FILES).max(LINE_BYTES_MAX as u64),
            file: None,
            partial: Vec::new(),
            partial_since: Duration::ZERO,
            last: Vec::new(),
            repeats: 0,
            dropped: (0, 0),
            tally_since: Duration::ZERO,
            tokens: BURST_BYTES,
            refilled: Duration::ZERO,
        }
    }

    /// Takes what came at `now`.
    pub fn write(&mut self, bytes: &[u8], now: Duration) {
        let mut out = Vec::with_capacity(bytes.len() + 256);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                self.partial_since = now;
                if piece.ends_with(b"\n") {
                    self.line(piece, now, &mut out);
                    continue;
                }
            }
            self.partial.extend_from_slice(piece);
            if self.partial.ends_with(b"\n") || self.partial.len() >= LINE_BYTES_MAX {
                self.end_partial(now, &mut out);
            }
        }
        self.append(&out);
    }

    /// When [`LogWriter::flush`] is next of use.
    pub fn deadline(&self) -> Option<Duration> {
        let partial = (!self.partial.is_empty()).then(|| self.partial_since + PARTIAL_MAX);
        let tally = self.has_tally().then(|| self.tally_since + TALLY_MAX);
        partial.into_iter().chain(tally).min()
    }

    /// Writes what has waited long enough.
    pub fn flush(&mut self, now: Duration) {
        let mut out = Vec::new();
        if !self.partial.is_empty() && self.partial_since + PARTIAL_MAX <= now {
            self.end_partial(now, &mut out);
        }
        if self.has_tally() && self.tally_since + TALLY_MAX <= now {
            self.tell(&mut out);
        }
        self.append(&out);
    }

    /// Writes all that has waited, and closes the file.
    pub fn close(&mut self, now: Duration) {
        let mut out = Vec::new();
        if !self.partial.is_empty() {
            self.end_partial(now, &mut out);
        }
        self.tell(&mut out);
        self.append(&out);
        self.file = None;
    }

    fn has_tally(&self) -> bool {
        self.repeats > 0 || self.dropped.0 > 0
    }

    fn end_partial(&mut self, now: Duration, out: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.partial);
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        self.line(&line, now, out);
    }

    fn line(&mut self, line: &[u8], now: Duration, out: &mut Vec<u8>) {
        if line.len() <= COMPARED_BYTES_MAX && line == self.last {
            self.tally(now);
            self.repeats += 1;
            return;
        }
        let refill = (now.saturating_sub(self.refilled)).as_millis();
        let refill = u64::try_from(refill).unwrap_or(u64::MAX).saturating_mul(RATE_BYTES) / 1000;
        if refill > 0 {
            self.tokens = self.tokens.saturating_add(refill).min(BURST_BYTES);
            self.refilled = now;
        }
        let length = line.len() as u64;
        if self.tokens < length {
            self.tally(now);
            self.dropped = (self.dropped.0 + 1, self.dropped.1 + length);
            return;
        }
        self.tokens -= length;
        self.tell(out);
        self.last.clear();
        if line.len() <= COMPARED_BYTES_MAX {
            self.last.extend_from_slice(line);
        }
        out.extend_from_slice(line);
    }

    fn tally(&mut self, now: Duration) {
        if !self.has_tally() {
            self.tally_since = now;
        }
    }

    /// Says what was not written.
    fn tell(&mut self, out: &mut Vec<u8>) {
        if self.repeats > 0 {
            let text = format!("castellan: the line before came {} times more\n", self.repeats);
            out.extend_from_slice(text.as_bytes());
            self.repeats = 0;
        }
        let (lines, bytes) = std::mem::take(&mut self.dropped);
        if lines > 0 {
            let text = format!(
                "castellan: {lines} lines ({bytes} bytes) were dropped: more than {RATE_BYTES} bytes a second\n"
            );
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// A log that cannot be written is no reason for its component to stop: what is lost is
    /// counted, and said once there is room.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = match self.opened() {
                Ok(room) => room,
                Err(_) => return self.lose(bytes),
            };
            let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let whole =
                bytes[..fits].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if whole == 0 {
                if self.rotate().is_err() {
                    return self.lose(bytes);
                }
                continue;
            }
            let Some((file, size)) = &mut self.file else { return };
            if file.write_all(&bytes[..whole]).is_err() {
                self.file = None;
                return self.lose(bytes);
            }
            *size += whole as u64;
            bytes = &bytes[whole..];
        }
    }

    fn lose(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.dropped = (self.dropped.0 + lines, self.dropped.1 + bytes.len() as u64);
    }

    /// Opens the file if it is not, and says how many bytes it has room for.
    fn opened(&mut self) -> io::Result<u64> {
        if self.file.is_none() {
            file::make_private_directory(self.path.parent().unwrap_or(Path::new("/")))?;
            let open = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            let size = open.metadata()?.len();
            self.file = Some((open, size));
        }
        let size = self.file.as_ref().map_or(0, |(_, size)| *size);
        Ok(self.file_bytes_max.saturating_sub(size))
    }

    /// The file becomes the first of the older ones, the last of those is forgotten.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        for number in (1..FILES).rev() {
            let from = if number == 1 { self.path.clone() } else { older(&self.path, number - 1) };
            match fs::rename(from, older(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn older(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bytes_max: u64) -> (tempfile::TempDir, LogWriter) {
        let home = tempfile::tempdir().unwrap();
        let writer = LogWriter::new(home.path().join("logs/x.log"), bytes_max);
        (home, writer)
    }

    fn text(home: &tempfile::TempDir) -> String {
        fs::read_to_string(home.path().join("logs/x.log")).unwrap_or_default()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lines_are_written_as_they_came_however_they_were_cut() {
        let (home, mut writer) = log(1 << 20);
        for piece in ["on", "e\ntwo", "\nthr"] {
            writer.write(piece.as_bytes(), at(0));
        }
        assert_eq!(text(&home), "one\ntwo\n");
        assert_eq!(writer.deadline(), Some(at(1)));
        writer.flush(at(1));
        assert_eq!(text(&home), "one\ntwo\nthr\n");
        assert_eq!(writer.deadline(), None);
    }

    #[test]
    fn a_line_that_repeats_is_counted() {
        let (home, mut writer) = log(1 << 20);
        for _ in 0..306_537 {
            writer.write(b"cannot bind\n", at(0));
        }
        writer.write(b"other\n", at(1));
        assert_eq!(
            text(&home),
            "cannot bind\ncastellan: the line before came 306536 times more\nother\n"
        );
    }

    #[test]
    fn repeats_are_said_also_when_nothing_else_comes() {
        let (home, mut writer) = log(1 << 20);
        writer.write(b"x\nx\n", at(3));
        assert_eq!(writer.deadline(), Some(at(13)));
        writer.flush(at(13));
        assert_eq!(text(&home), "x\ncastellan: the line before came 1 times more\n");
    }

    #[test]
    fn a_flood_is_dropped_counted_and_bounded() {
        let (home, mut writer) = log(4 << 20);
        let line = |number: u32| format!("{number:0>1023}\n");
        for number in 0..100_000 {
            writer.write(line(number).as_bytes(), at(0));
        }
        writer.write(b"after\n", at(60));
        let files = fs::read_dir(home.path().join("logs")).unwrap().flatten();
        let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
        assert!(bytes <= 4 << 20, "{bytes}");
        let said = "castellan: 91808 lines (94011392 bytes) were dropped";
        assert!(text(&home).contains(said), "{}", &text(&home)[..200]);
        assert!(text(&home).ends_with("after\n"));
    }

    #[test]
    fn no_line_is_lost_when_the_file_is_rotated() {
        let (home, mut writer) = log(4 * LINE_BYTES_MAX as u64);
        let lines: Vec<String> = (0..3000).map(|number| format!("line {number:0>60}\n")).collect();
        for chunk in lines.concat().as_bytes().chunks(777) {
            writer.write(chunk, at(0));
        }
        let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
        let all = ["logs/x.log.3", "logs/x.log.2", "logs/x.log.1", "logs/x.log"].map(read).concat();
        assert_eq!(all, lines.concat());
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let (home, mut writer) = log(1 << 20);
        writer.write(&vec![b'x'; LINE_BYTES_MAX + 5], at(0));
        assert_eq!(text(&home).len(), LINE_BYTES_MAX + 6 - 5 + 5);
    }
}
