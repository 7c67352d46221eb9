//! A look at a stream that passes by, cheap enough for every chunk.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Usage;
use crate::lines::{Line, Lines};

/// Lines longer than this pass unseen, in bytes.
const SEEN_BYTES_MAX: usize = 64 * 1024;

/// Watches a streamed chat completion go by: whether it came to its end, what it cost, and where
/// it may be cut without breaking an event. It changes nothing and keeps one line at most.
#[derive(Clone, Debug)]
pub struct StreamWatch {
    lines: Lines,
    done: bool,
    finished: bool,
    failed: bool,
    usage: Option<Usage>,
}

impl Default for StreamWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamWatch {
    /// A watch at the start of a stream.
    pub fn new() -> Self {
        let lines = Lines::new(SEEN_BYTES_MAX);
        Self { lines, done: false, finished: false, failed: false, usage: None }
    }

    /// Looks at the next bytes. Returns how many of them belong to events that are now whole: what
    /// follows is the beginning of an event.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut whole = 0;
        let Self { lines, done, finished, failed, usage } = self;
        lines.feed(bytes, |line, end| {
            let Line::Whole(line) = line else { return };
            if line.is_empty() {
                whole = end;
            }
            let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return };
            if data == b"[DONE]" {
                *done = true;
            } else if let Ok(glance) = serde_json::from_slice::<Glance>(data) {
                let choices = glance.choices.unwrap_or_default();
                *finished |= choices.iter().any(|choice| choice.finish_reason.is_some());
                *failed |= glance.error.is_some();
                *usage = glance.usage.or(*usage);
            }
        });
        whole
    }

    /// Whether the answer came to its end: `[DONE]` or a finish reason was seen.
    pub fn is_whole(&self) -> bool {
        self.done || self.finished
    }

    /// Whether `[DONE]` was seen.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the stream said itself that it went wrong.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// What the answer cost, where the stream said so.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

#[derive(Deserialize)]
struct Glance {
    choices: Option<Vec<GlanceChoice>>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct GlanceChoice {
    finish_reason: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(stream: &str) -> StreamWatch {
        let mut watch = StreamWatch::new();
        watch.feed(stream.as_bytes());
        watch
    }

    #[test]
    fn the_end_is_seen_by_finish_reason_or_done() {
        for (stream, whole) in [
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":null}]}\n\n", false),
            ("data: {\"choices\":[{\"finish_reason\": \"stop\"}]}\n\n", true),
            ("data:[DONE]\r\n\r\n", true),
            ("data: [DONE]", false),
            (": [DONE]\n\ndata: broken {\n\n", false),
        ] {
            assert_eq!(watched(stream).is_whole(), whole, "{stream}");
        }
    }

    #[test]
    fn the_last_usage_and_an_error_are_seen() {
        let watch = watched(
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"error\":{}}\n\n",
        );
        assert_eq!(watch.usage().map(|usage| usage.prompt_tokens), Some(1));
        assert!(watch.has_failed());
        assert!(!watched("data: {\"error\":null}\n\n").has_failed());
    }

    #[test]
    fn bytes_are_told_apart_into_whole_events_and_a_beginning() {
        let mut watch = StreamWatch::new();
        assert_eq!(watch.feed(b"data: a\n\ndata: b\n\nda"), 18);
        assert_eq!(watch.feed(b"ta: c\n"), 0);
        assert_eq!(watch.feed(b"\nx"), 1);
    }

    #[test]
    fn a_line_too_long_to_see_does_not_hide_the_end() {
        let long = format!("data: {}\n\ndata: [DONE]\n\n", "x".repeat(SEEN_BYTES_MAX));
        assert!(watched(&long).is_whole());
    }
}
