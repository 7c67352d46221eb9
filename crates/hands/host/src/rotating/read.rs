//! Reads a file that rotates together with its older ones, as one.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::mem;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use flate2::read::GzDecoder;

use super::{OLDER_MAX, numbered, packed};

/// What is longer is given in pieces, so that a reader needs little.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What is read at once, from the end back too.
const CHUNK_BYTES: u64 = 64 << 10;

/// Lines, without their newlines, in the order they were written.
type Texts = Vec<Vec<u8>>;

/// All lines, the oldest first.
#[derive(Debug)]
pub struct Lines {
    /// The newest first.
    files: Vec<Opened>,
    reading: Option<Reading>,
}

/// One of the files, held open: it can be read to its end whatever happens to its name.
#[derive(Debug)]
struct Opened {
    file: File,
    about: Metadata,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Packed,
}

struct Reading(Box<dyn BufRead + Send>);

impl std::fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Reading(..)")
    }
}

/// Every line of the file and its older ones, the oldest first, without their newlines. What is
/// appended meanwhile may or may not be among them. Empty where there is no file.
///
/// # Errors
///
/// As the system gives them. One that cannot be read further is said by the iterator, which then
/// goes on with the next file.
pub fn lines(path: &Path) -> io::Result<Lines> {
    Ok(Lines { files: open_all(path)?, reading: None })
}

/// The last `count` lines, the oldest first, one that is not finished too.
///
/// # Errors
///
/// As the system gives them.
pub fn lines_back(path: &Path, count: usize) -> io::Result<Texts> {
    last_of(&open_all(path)?, count)
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.reading.is_none() {
                let next = self.files.pop()?;
                match next.reader() {
                    Ok(reader) => self.reading = Some(Reading(reader)),
                    Err(error) => return Some(Err(error)),
                }
            }
            let Reading(reader) = self.reading.as_mut()?;
            match next_line(reader) {
                Ok(Some(line)) => return Some(Ok(line)),
                Ok(None) => self.reading = None,
                Err(error) => {
                    self.reading = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Gives each whole line once, also while the file is rotated.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    /// The newest file that was seen, and how far it was read.
    held: Option<(Opened, u64)>,
    /// The one before: somebody may have opened it before it was renamed, and write only now.
    former: Option<(Opened, u64)>,
    partial: Vec<u8>,
}

impl Follow {
    /// The last `count` whole lines, and a follower that goes on exactly there.
    ///
    /// # Errors
    ///
    /// As the system gives them.
    pub fn begin(path: &Path, count: usize) -> io::Result<(Texts, Self)> {
        let mut files = open_all(path)?;
        let older = files.split_off(files.len().min(1));
        let mut end = 0;
        let mut found = Vec::new();
        if let Some(newest) = files.first() {
            // What is appended from here on, and the line that is not finished, are still to come.
            end = newest.end_of_lines()?;
            found = newest.tail(count, end)?;
        }
        if found.len() < count {
            let mut before = last_of(&older, count - found.len())?;
            before.append(&mut found);
            found = before;
        }
        let held = files.pop().map(|newest| (newest, end));
        let path = path.to_owned();
        Ok((found, Self { path, held, former: None, partial: Vec::new() }))
    }

    /// The whole lines that came since the last time.
    ///
    /// # Errors
    ///
    /// As the system gives them.
    pub fn poll(&mut self) -> io::Result<Texts> {
        let mut found = Vec::new();
        if let Some((former, offset)) = self.former.take() {
            let mut late = Vec::new();
            former.read_from(offset, &mut late)?;
            take_whole(&mut late, &mut found);
        }
        let is_newest =
            |held: &Opened| std::fs::metadata(&self.path).is_ok_and(|about| held.is_same(&about));
        let was_newest = self.held.as_ref().is_some_and(|(held, _)| is_newest(held));
        // Read only now: what was written before it was renamed is then there.
        self.read_held(&mut found)?;
        if !was_newest {
            self.move_on(&mut found)?;
        }
        Ok(found)
    }

    fn read_held(&mut self, found: &mut Texts) -> io::Result<()> {
        if let Some((held, offset)) = &mut self.held
            && held.form == Form::Plain
        {
            if held.file.metadata()?.len() < *offset {
                // Somebody emptied it.
                (*offset, self.partial) = (0, Vec::new());
            }
            *offset = held.read_from(*offset, &mut self.partial)?;
            take_whole(&mut self.partial, found);
        }
        Ok(())
    }

    /// Goes through all that is newer than what is held.
    fn move_on(&mut self, found: &mut Texts) -> io::Result<()> {
        let mut files = open_all(&self.path)?;
        let newer = match &self.held {
            None => files.len(),
            Some((held, _)) => {
                let about = held.file.metadata()?;
                let is_held = |file: &Opened| file.is_same(&about) || file.is_packed_from(&about);
                files.iter().position(is_held).unwrap_or(files.len())
            }
        };
        files.truncate(newer);
        while let Some(next) = files.pop() {
            if !self.partial.is_empty() {
                found.push(mem::take(&mut self.partial));
            }
            if let Some(before) = self.held.take() {
                self.former = Some(before).filter(|(before, _)| before.form == Form::Plain);
            }
            if next.form == Form::Packed {
                let mut reader = next.reader()?;
                while let Some(line) = next_line(&mut reader)? {
                    found.push(line);
                }
            }
            self.held = Some((next, 0));
            self.read_held(found)?;
        }
        Ok(())
    }
}

/// Moves the whole lines out of `bytes`.
fn take_whole(bytes: &mut Vec<u8>, found: &mut Texts) {
    let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        if bytes.len() > LINE_BYTES_MAX {
            found.push(mem::take(bytes));
        }
        return;
    };
    let rest = bytes.split_off(last + 1);
    bytes.pop();
    found.extend(bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    *bytes = rest;
}

/// Whether a compressed file was made from just this plain one.
pub(super) fn holds_the_same(packed: &Path, plain: &Metadata) -> bool {
    Opened::open(packed, Form::Packed)
        .is_ok_and(|opened| opened.is_some_and(|opened| opened.is_packed_from(plain)))
}

/// The file and its older ones, the newest first, each once: while they are opened, one may be
/// given the next number, and one may be compressed.
fn open_all(path: &Path) -> io::Result<Vec<Opened>> {
    let mut files: Vec<Opened> = Vec::new();
    let older = (1..=OLDER_MAX).flat_map(|number| {
        [(numbered(path, number), Form::Plain), (packed(path, number), Form::Packed)]
    });
    for (path, form) in std::iter::once((path.to_owned(), Form::Plain)).chain(older) {
        let Some(opened) = Opened::open(&path, form)? else { continue };
        let is_known = files.iter().any(|known| {
            let now = known.file.metadata();
            known.is_same(&opened.about) || now.is_ok_and(|about| opened.is_packed_from(&about))
        });
        if !is_known {
            files.push(opened);
        }
    }
    Ok(files)
}

/// The last lines of files that are given the newest first.
fn last_of(files: &[Opened], count: usize) -> io::Result<Texts> {
    let mut found: VecDeque<Vec<u8>> = VecDeque::new();
    for file in files {
        if found.len() >= count {
            break;
        }
        let end = file.file.metadata()?.len();
        for line in file.tail(count - found.len(), end)?.into_iter().rev() {
            found.push_front(line);
        }
    }
    Ok(found.into())
}

fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    line.pop_if(|byte| *byte == b'\n');
    Ok(Some(line))
}

impl Opened {
    fn open(path: &Path, form: Form) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self { about: file.metadata()?, file, form })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_same(&self, about: &Metadata) -> bool {
        (self.about.dev(), self.about.ino()) == (about.dev(), about.ino())
    }

    /// A number of a file is used again when the file is gone; so its length and the time of its
    /// last line are compared too.
    fn is_packed_from(&self, plain: &Metadata) -> bool {
        let time = |about: &Metadata| (about.mtime(), about.mtime_nsec());
        if self.form == Form::Plain || time(&self.about) != time(plain) {
            return false;
        }
        let mut length = [0; 4];
        let Some(at) = self.about.len().checked_sub(4) else { return false };
        let is_read = self.file.read_exact_at(&mut length, at).is_ok();
        is_read
            && u64::from(u32::from_le_bytes(length)) == plain.len() & u64::from(u32::MAX)
            && self.origin().is_some_and(|inode| inode == plain.ino())
    }

    /// The inode that is written at its beginning.
    fn origin(&self) -> Option<u64> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).ok()?;
        let decoder = GzDecoder::new(file);
        let comment = decoder.header()?.comment()?;
        std::str::from_utf8(comment).ok()?.strip_prefix("inode ")?.parse().ok()
    }

    /// From its beginning.
    fn reader(&self) -> io::Result<Box<dyn BufRead + Send>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(match self.form {
            Form::Plain => Box::new(BufReader::new(file)),
            Form::Packed => Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file)))),
        })
    }

    /// All from `offset` on; gives the new offset.
    fn read_from(&self, mut offset: u64, into: &mut Vec<u8>) -> io::Result<u64> {
        let mut chunk = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX)];
        loop {
            match self.file.read_at(&mut chunk, offset)? {
                0 => return Ok(offset),
                count => {
                    into.extend_from_slice(&chunk[..count]);
                    offset += count as u64;
                }
            }
        }
    }

    /// The last lines before `end`, which counts in a plain file only.
    fn tail(&self, count: usize, end: u64) -> io::Result<Texts> {
        match self.form {
            Form::Plain => self.tail_plain(count, end),
            Form::Packed => {
                let mut reader = self.reader()?;
                let mut found = VecDeque::new();
                while let Some(line) = next_line(&mut reader)?.filter(|_| count > 0) {
                    if found.len() == count {
                        found.pop_front();
                    }
                    found.push_back(line);
                }
                Ok(found.into())
            }
        }
    }

    fn tail_plain(&self, count: usize, end: u64) -> io::Result<Texts> {
        let (mut from, mut blocks, mut newlines) = (end, VecDeque::new(), 0);
        // One more than is wanted: the one before the first line.
        while from > 0 && newlines <= count {
            let length = from.min(CHUNK_BYTES);
            from -= length;
            let mut block = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            self.file.read_exact_at(&mut block, from)?;
            newlines += block.split(|byte| *byte == b'\n').count() - 1;
            blocks.push_front(block);
        }
        let mut bytes: Vec<u8> = blocks.into_iter().flatten().collect();
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        bytes.pop_if(|byte| *byte == b'\n');
        let mut lines: Texts =
            bytes.rsplit(|byte| *byte == b'\n').take(count).map(<[u8]>::to_vec).collect();
        lines.reverse();
        Ok(lines)
    }

    /// Where the last whole line of a plain file ends.
    fn end_of_lines(&self) -> io::Result<u64> {
        let length = self.about.len();
        if self.form == Form::Packed || length == 0 {
            return Ok(0);
        }
        let mut last = [0];
        self.file.read_exact_at(&mut last, length - 1)?;
        if last == *b"\n" {
            return Ok(length);
        }
        let unfinished = self.tail_plain(1, length)?;
        Ok(length - unfinished.first().map_or(0, |line| line.len() as u64))
    }
}
