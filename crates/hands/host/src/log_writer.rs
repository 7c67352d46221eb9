//! A component's words, from the pipe it writes to into its log.
//!
//! Pieces come in as they are read; whole lines go out, byte for byte, in as few writes as can be.
//! Only what a flood, an endless line or a full disk makes necessary is left out, and that is said
//! in the log itself. It has no timer: its owner asks for the [`deadline`](LogWriter::deadline) and
//! calls [`flush`](LogWriter::flush) then.

mod bucket;
#[cfg(test)]
mod tests;

use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sanctum_model::ByteSize;

use crate::rotating::{Archivist, RotatingFile, Writers};
use bucket::Bucket;
pub use bucket::{BURST_BYTES, SUSTAINED_BYTES_PER_SECOND};

/// What a line is cut to.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// A line that is not finished is written as it is after this.
pub const PARTIAL_HELD_MAX: Duration = Duration::from_millis(100);
/// More of an unfinished line than this is not held.
pub const PARTIAL_BYTES_MAX: usize = 4 << 10;
/// A longer line is not compared with the one before.
pub const REPEAT_BYTES_MAX: usize = 512;
/// A line that comes again and again is counted aloud this often.
pub const REPEAT_SAID_EVERY: Duration = Duration::from_secs(10);
/// Where nothing can be written, it is tried again this often.
pub const UNWRITTEN_RETRY: Duration = Duration::from_secs(1);
/// What is kept of a buffer between two pieces.
const IDLE_BYTES_MAX: usize = 512;

/// A number of lines, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Lines.
    pub lines: u64,
    /// Bytes, newlines included.
    pub bytes: u64,
}

/// Writes what a component says into its log.
#[derive(Debug)]
pub struct LogWriter {
    file: RotatingFile,
    bucket: Bucket,
    /// The beginning of a line, while none of it is in the file.
    partial: Vec<u8>,
    /// Bytes of the present line so far.
    line_bytes: u64,
    line: Line,
    partial_at: Duration,
    /// The last line in the file, if it is short enough to be compared.
    last: Option<Box<[u8]>>,
    repeats: u64,
    repeats_at: Duration,
    seen: Amount,
    dropped_unsaid: Amount,
    dropped: Amount,
    unwritten_unsaid: Amount,
    unwritten: Amount,
    trouble: Option<Trouble>,
}

/// What became of the present line's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It is held, or nothing of the line came yet.
    Held,
    /// It is in the file: what follows goes there too, up to the cut.
    Shown,
    /// It was dropped, and so is the rest.
    Dropped,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    retry_at: Duration,
}

impl LogWriter {
    /// A log that takes `bytes_max` of the disk at most, its older ones included. Touches nothing.
    pub fn new(path: PathBuf, bytes_max: u64, archivist: Archivist) -> Self {
        Self {
            file: RotatingFile::new(path, bytes_max, Writers::One, archivist),
            bucket: Bucket::default(),
            partial: Vec::new(),
            line_bytes: 0,
            line: Line::Held,
            partial_at: Duration::ZERO,
            last: None,
            repeats: 0,
            repeats_at: Duration::ZERO,
            seen: Amount::default(),
            dropped_unsaid: Amount::default(),
            dropped: Amount::default(),
            unwritten_unsaid: Amount::default(),
            unwritten: Amount::default(),
            trouble: None,
        }
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All that came: whole lines, and bytes. It only grows.
    pub fn seen(&self) -> Amount {
        self.seen
    }

    /// All that was left out because it was too much at once.
    pub fn dropped(&self) -> Amount {
        self.dropped
    }

    /// All that was left out because it could not be written.
    pub fn unwritten(&self) -> Amount {
        self.unwritten
    }

    /// Why nothing can be written now.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.why.as_str())
    }

    /// Takes the next piece, as it was read.
    pub fn write(&mut self, bytes: &[u8], now: Duration) {
        self.bucket.refill(now);
        self.seen.bytes += bytes.len() as u64;
        let mut out = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at + 1);
            self.seen.lines += 1;
            self.end_line(line, &mut out, now);
            rest = after;
        }
        if !rest.is_empty() {
            self.begin_line(rest, &mut out, now);
        }
        self.put(&out, now);
    }

    /// When `flush` is to be called next, on the same clock.
    pub fn deadline(&self) -> Option<Duration> {
        let partial = (!self.partial.is_empty()).then_some(self.partial_at + PARTIAL_HELD_MAX);
        let repeats = (self.repeats > 0).then_some(self.repeats_at + REPEAT_SAID_EVERY);
        let dropped = (self.dropped_unsaid.lines > 0).then(|| self.bucket.open_again_at());
        let unwritten = self.trouble.as_ref().map(|trouble| trouble.retry_at);
        [partial, repeats, dropped, unwritten].into_iter().flatten().min()
    }

    /// Writes what has waited long enough.
    pub fn flush(&mut self, now: Duration) {
        self.bucket.refill(now);
        let mut out = Vec::new();
        if self.bucket.is_open() {
            self.say_dropped(&mut out);
        }
        if self.repeats > 0 && now >= self.repeats_at + REPEAT_SAID_EVERY {
            self.say_repeats(&mut out);
        }
        if !self.partial.is_empty() && now >= self.partial_at + PARTIAL_HELD_MAX {
            self.show_partial(&mut out);
        }
        if !out.is_empty() || self.trouble.as_ref().is_some_and(|trouble| now >= trouble.retry_at) {
            self.put(&out, now);
        }
    }

    /// Writes all that is held, and ends a line that will not be finished: the component has ended.
    pub fn finish(&mut self, now: Duration) {
        let mut out = Vec::new();
        self.bucket.refill(now);
        if self.line_bytes > 0 {
            self.end_line(b"\n", &mut out, now);
        }
        self.say_repeats(&mut out);
        self.say_dropped(&mut out);
        self.last = None;
        self.put(&out, now);
    }

    /// Gives back the descriptor. The next line opens the log again.
    pub fn close(&mut self) {
        self.file.close();
    }

    /// A line comes to its end; `rest` is what came of it just now, its newline included.
    fn end_line(&mut self, rest: &[u8], out: &mut Vec<u8>, now: Duration) {
        let bytes = self.line_bytes + rest.len() as u64;
        let held = mem::take(&mut self.partial);
        let whole = if held.is_empty() { rest } else { &[held.as_slice(), rest].concat() };
        match self.line {
            Line::Held => self.whole_line(whole, out, now),
            Line::Shown => {
                let shown = usize::try_from(self.line_bytes).unwrap_or(usize::MAX);
                push_cut(out, rest, LINE_BYTES_MAX.saturating_sub(shown), bytes);
            }
            Line::Dropped => self.drop_line(bytes),
        }
        (self.line_bytes, self.line) = (0, Line::Held);
    }

    /// A line that is whole and of which nothing is in the file.
    fn whole_line(&mut self, line: &[u8], out: &mut Vec<u8>, now: Duration) {
        if self.last.as_deref() == Some(line) {
            if self.repeats == 0 {
                self.repeats_at = now;
            }
            self.repeats += 1;
            return;
        }
        if !self.bucket.take(line.len().min(LINE_BYTES_MAX)) {
            self.drop_line(line.len() as u64);
            return;
        }
        self.say_repeats(out);
        self.say_dropped(out);
        push_cut(out, line, LINE_BYTES_MAX, line.len() as u64);
        self.last = (line.len() <= REPEAT_BYTES_MAX).then(|| line.into());
    }

    /// A piece of a line that does not end here.
    fn begin_line(&mut self, piece: &[u8], out: &mut Vec<u8>, now: Duration) {
        match self.line {
            Line::Held => {
                if self.partial.is_empty() {
                    self.partial_at = now;
                }
                self.partial.extend_from_slice(piece);
                self.line_bytes += piece.len() as u64;
                if self.partial.len() > PARTIAL_BYTES_MAX {
                    self.show_partial(out);
                } else if self.partial.capacity() > IDLE_BYTES_MAX {
                    self.partial.shrink_to_fit();
                }
            }
            Line::Shown => {
                let shown = usize::try_from(self.line_bytes).unwrap_or(usize::MAX);
                let room = LINE_BYTES_MAX.saturating_sub(shown);
                out.extend_from_slice(&piece[..piece.len().min(room)]);
                self.line_bytes += piece.len() as u64;
            }
            Line::Dropped => self.line_bytes += piece.len() as u64,
        }
    }

    /// Writes the beginning of a line, or drops the line.
    fn show_partial(&mut self, out: &mut Vec<u8>) {
        let partial = mem::take(&mut self.partial);
        if self.bucket.take(partial.len().min(LINE_BYTES_MAX)) {
            self.say_repeats(out);
            self.say_dropped(out);
            out.extend_from_slice(&partial[..partial.len().min(LINE_BYTES_MAX)]);
            (self.line, self.last) = (Line::Shown, None);
        } else {
            self.line = Line::Dropped;
        }
    }

    fn drop_line(&mut self, bytes: u64) {
        for dropped in [&mut self.dropped_unsaid, &mut self.dropped] {
            dropped.lines += 1;
            dropped.bytes += bytes;
        }
    }

    fn say_repeats(&mut self, out: &mut Vec<u8>) {
        match (mem::take(&mut self.repeats), &self.last) {
            (0, _) | (_, None) => {}
            (1, Some(last)) => out.extend_from_slice(last),
            (count, Some(_)) => out.extend_from_slice(
                format!("castellan: the line above came {count} more times\n").as_bytes(),
            ),
        }
    }

    fn say_dropped(&mut self, out: &mut Vec<u8>) {
        let Amount { lines, bytes } = mem::take(&mut self.dropped_unsaid);
        if lines > 0 {
            let size = ByteSize::from_bytes(bytes);
            let rate = ByteSize::from_bytes(SUSTAINED_BYTES_PER_SECOND);
            let said = format!(
                "castellan: dropped {lines} lines ({size}) of a flood: more than {rate}/s\n"
            );
            out.extend_from_slice(said.as_bytes());
            self.last = None;
        }
    }

    /// Appends; what cannot be written is counted and forgotten.
    fn put(&mut self, out: &[u8], now: Duration) {
        if self.trouble.as_ref().is_some_and(|trouble| now < trouble.retry_at) {
            return self.count_unwritten(out);
        }
        let said;
        let (notice, out) = if self.trouble.is_some() || self.unwritten_unsaid.lines > 0 {
            let notice = self.unwritten_notice();
            let length = notice.len();
            said = [notice.as_slice(), out].concat();
            (length, said.as_slice())
        } else {
            (0, out)
        };
        if out.is_empty() {
            return;
        }
        match self.file.append(out) {
            Ok(()) => (self.trouble, self.unwritten_unsaid) = (None, Amount::default()),
            Err(error) => {
                if notice > 0 && error.kept >= notice {
                    self.unwritten_unsaid = Amount::default();
                }
                let retry_at = now + UNWRITTEN_RETRY;
                self.trouble = Some(Trouble { why: error.source.to_string(), retry_at });
                self.last = None;
                self.repeats = 0;
                self.count_unwritten(&out[error.kept.max(notice)..]);
            }
        }
    }

    fn unwritten_notice(&self) -> Vec<u8> {
        let Amount { lines, bytes } = self.unwritten_unsaid;
        let size = ByteSize::from_bytes(bytes);
        let why = self.trouble().unwrap_or_default();
        format!("castellan: lost {lines} lines ({size}) that could not be written: {why}\n")
            .into_bytes()
    }

    fn count_unwritten(&mut self, out: &[u8]) {
        let lines = out.split(|byte| *byte == b'\n').count() as u64 - 1;
        for unwritten in [&mut self.unwritten_unsaid, &mut self.unwritten] {
            unwritten.lines += lines;
            unwritten.bytes += out.len() as u64;
        }
    }
}

/// Appends what fits into `room` of the rest of a line, and says it if that is not all. `bytes` are
/// those of the whole line.
fn push_cut(out: &mut Vec<u8>, rest: &[u8], room: usize, bytes: u64) {
    let text = rest.strip_suffix(b"\n").unwrap_or(rest);
    // A line of just the length that is shown, and its newline, is not cut.
    if bytes <= LINE_BYTES_MAX as u64 + 1 {
        out.extend_from_slice(rest);
        return;
    }
    out.extend_from_slice(&text[..text.len().min(room)]);
    let cut = bytes - 1 - LINE_BYTES_MAX as u64;
    let size = ByteSize::from_bytes(cut);
    out.extend_from_slice(format!(" … castellan: cut {size} of this line\n").as_bytes());
}
