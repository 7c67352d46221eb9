//! The way from a token's bytes to text that can be shown: whole characters, up to a stop string.

/// Turns the bytes of tokens into text, and ends it before the first stop string.
#[derive(Debug, Default)]
pub struct AnswerText {
    /// The bytes of a character that is not whole yet.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    stops: Vec<String>,
}

/// What came of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This much can be shown; nothing, maybe.
    Text(String),
    /// A stop string is reached; this much comes before it.
    Stopped(String),
}

impl AnswerText {
    /// An empty answer that ends before any of `stops`, none of which is empty.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, ..Self::default() }
    }

    /// Takes the bytes of one token.
    pub fn push(&mut self, bytes: &[u8]) -> Piece {
        self.bytes.extend_from_slice(bytes);
        let (text, rest) = whole_characters(&self.bytes);
        self.bytes = rest;
        self.held.push_str(&text);
        self.release()
    }

    /// What is left when no token follows: a broken character is shown as U+FFFD.
    pub fn finish(mut self) -> String {
        let broken = String::from_utf8_lossy(&self.bytes).into_owned();
        self.held.push_str(&broken);
        match self.release() {
            Piece::Text(text) => text + &self.held,
            Piece::Stopped(text) => text,
        }
    }

    /// Gives up all that cannot belong to a stop string.
    fn release(&mut self) -> Piece {
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = first {
            self.held.truncate(at);
            return Piece::Stopped(std::mem::take(&mut self.held));
        }
        let starts = self.held.char_indices().map(|(at, _)| at);
        let kept = starts
            .into_iter()
            .find(|at| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..])))
            .unwrap_or(self.held.len());
        let rest = self.held.split_off(kept);
        Piece::Text(std::mem::replace(&mut self.held, rest))
    }
}

/// The text at the beginning of `bytes`, and the bytes of the last character if they are not all
/// there. What can never become a character is shown as U+FFFD.
fn whole_characters(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut text = String::new();
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        if chunk.invalid().is_empty() {
            continue;
        }
        if chunks.peek().is_none() && may_go_on(chunk.invalid()) {
            return (text, chunk.invalid().to_vec());
        }
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text, Vec::new())
}

/// Whether more bytes could make these a character.
fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(answer: &mut AnswerText, token: &[u8]) -> String {
        match answer.push(token) {
            Piece::Text(text) => text,
            Piece::Stopped(text) => panic!("stopped after {text:?}"),
        }
    }

    #[test]
    fn a_character_is_shown_when_its_last_byte_is_there() {
        let mut answer = AnswerText::new(Vec::new());
        let crab = "🦀".as_bytes();
        assert_eq!(shown(&mut answer, &crab[..1]), "");
        assert_eq!(shown(&mut answer, &crab[1..3]), "");
        assert_eq!(shown(&mut answer, &[crab[3], b'!']), "🦀!");
        assert_eq!(answer.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_and_do_not_hold_up_the_rest() {
        let mut answer = AnswerText::new(Vec::new());
        assert_eq!(shown(&mut answer, b"a\xffb"), "a\u{fffd}b");
        assert_eq!(shown(&mut answer, b"\xf0\x9f"), "");
        assert_eq!(shown(&mut answer, b"c"), "\u{fffd}c");
        assert_eq!(shown(&mut answer, b"\xe2\x82"), "");
        assert_eq!(answer.finish(), "\u{fffd}");
    }

    #[test]
    fn a_stop_string_is_found_across_tokens_and_never_shown() {
        let mut answer = AnswerText::new(vec!["STOP".to_owned()]);
        assert_eq!(shown(&mut answer, b"go S"), "go ");
        assert_eq!(shown(&mut answer, b"T"), "");
        assert_eq!(answer.push(b"OP and more"), Piece::Stopped(String::new()));
    }

    #[test]
    fn what_only_began_like_a_stop_string_is_shown_in_the_end() {
        let mut answer = AnswerText::new(vec!["STOP".to_owned()]);
        assert_eq!(shown(&mut answer, b"ST"), "");
        assert_eq!(shown(&mut answer, b"AY ST"), "STAY ");
        assert_eq!(answer.finish(), "ST");
    }

    #[test]
    fn the_earliest_of_several_stop_strings_wins() {
        let mut answer = AnswerText::new(vec!["end".to_owned(), "\n\n".to_owned()]);
        assert_eq!(answer.push(b"one\n\ntwo end"), Piece::Stopped("one".to_owned()));
    }

    #[test]
    fn a_repeated_beginning_does_not_hide_a_stop_string() {
        let mut answer = AnswerText::new(vec!["aab".to_owned()]);
        assert_eq!(shown(&mut answer, b"aa"), "");
        assert_eq!(shown(&mut answer, b"a"), "a");
        assert_eq!(answer.push(b"b"), Piece::Stopped(String::new()));
    }
}
