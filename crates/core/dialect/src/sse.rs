//! Server-sent events: bytes in, events out, wherever the bytes are cut.

use crate::lines::{Line, Lines};

/// The longest line of a stream, in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// The most data of one event, in bytes.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The value of `event:`; empty where the stream gave none.
    pub name: String,
    /// The `data:` lines, parted by LF.
    pub data: String,
}

/// Why a stream cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line is too long.
    #[error("a line of the stream is longer than 1 MiB")]
    Line,
    /// An event is too large.
    #[error("an event of the stream is larger than 4 MiB")]
    Event,
}

/// Reads events out of a stream, as the HTML standard says; comments, `id:` and `retry:` are
/// passed over.
#[derive(Clone, Debug)]
pub struct SseReader {
    lines: Lines,
    event: Pending,
    error: Option<SseError>,
}

/// What has come of the event that is being read.
#[derive(Clone, Debug, Default)]
struct Pending {
    begun: bool,
    name: String,
    data: Option<String>,
}

impl Default for SseReader {
    fn default() -> Self {
        Self::new()
    }
}

impl SseReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self { lines: Lines::new(LINE_BYTES_MAX), event: Pending::default(), error: None }
    }

    /// Takes the next bytes, cut anywhere, and gives the events that are now whole.
    ///
    /// # Errors
    ///
    /// When a line or an event is over its limit; the stream cannot be read further then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, SseError> {
        let mut events = Vec::new();
        let Self { lines, event, error } = self;
        lines.feed(bytes, |line, _| {
            if error.is_none() {
                match event.on_line(line) {
                    Ok(whole) => events.extend(whole),
                    Err(fault) => *error = Some(fault),
                }
            }
        });
        match self.error {
            Some(error) => Err(error),
            None => Ok(events),
        }
    }
}

impl Pending {
    fn on_line(&mut self, line: Line<'_>) -> Result<Option<SseEvent>, SseError> {
        let Line::Whole(mut line) = line else { return Err(SseError::Line) };
        if !self.begun {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
            self.begun = true;
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return Ok(self.data.take().map(|data| SseEvent { name, data }));
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => self.add_data(&value)?,
            b"event" => self.name = value.into_owned(),
            _ => {}
        }
        Ok(None)
    }

    fn add_data(&mut self, value: &str) -> Result<(), SseError> {
        let data = match &mut self.data {
            None => self.data.insert(String::new()),
            Some(data) => {
                data.push('\n');
                data
            }
        };
        if data.len() + value.len() > EVENT_BYTES_MAX {
            return Err(SseError::Event);
        }
        data.push_str(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<SseEvent> {
        let mut reader = SseReader::new();
        chunks.iter().flat_map(|chunk| reader.feed(chunk).unwrap()).collect()
    }

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let stream = "\u{feff}: hello\n\ndata: a\ndata:b\ndata\n\nevent: error\r\nid: 7\r\n\
                      data:  c\r\n\r\nevent: forgotten\n\ndata: d\r\rdata: e\n";
        let expected = [event("", "a\nb\n"), event("error", " c"), event("", "d")];
        assert_eq!(read(&[stream.as_bytes()]), expected);
    }

    #[test]
    fn an_event_without_its_blank_line_is_none_yet() {
        let mut reader = SseReader::new();
        assert_eq!(reader.feed(b"data: [DO").unwrap(), []);
        assert_eq!(reader.feed(b"NE]\n").unwrap(), []);
        assert_eq!(reader.feed(b"\n").unwrap(), [event("", "[DONE]")]);
    }

    #[test]
    fn a_line_or_event_over_its_limit_ends_the_reading() {
        let mut reader = SseReader::new();
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(reader.feed(&long), Ok(vec![]));
        assert_eq!(reader.feed(b"\n"), Err(SseError::Line));
        assert_eq!(reader.feed(b"data: a\n\n"), Err(SseError::Line));

        let mut reader = SseReader::new();
        let line = [b"data: ".as_slice(), &vec![b'x'; LINE_BYTES_MAX - 6], b"\n"].concat();
        let outcome: Vec<_> = (0..5).map(|_| reader.feed(&line)).collect();
        assert_eq!(outcome[3], Ok(vec![]));
        assert_eq!(outcome[4], Err(SseError::Event));
    }

    proptest! {
        #[test]
        fn events_are_the_same_wherever_the_bytes_are_cut(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "data: ", "data", ":", "event: x", "é", "{\"a\":1}", "\n", "\n\n", "\r", "\r\n", " ", "[DONE]",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream = pieces.concat();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&chunks), read(&[bytes]));
        }
    }
}
