//! Bytes in, lines out, wherever the bytes are cut.

/// One line without its end, or the news that one was too long to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// Cuts a stream into lines that end with LF, CR or CR LF.
///
/// Holds at most `bytes_max` of a line that has not ended; a longer one is dropped to its end.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    bytes_max: usize,
    kept: Vec<u8>,
    too_long: bool,
    after_cr: bool,
}

impl Lines {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Vec::new(), too_long: false, after_cr: false }
    }

    /// Calls `each` with every line that ends in `bytes`, and the place in `bytes` after its end.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Line<'_>, usize)) {
        let mut from = 0;
        if self.after_cr && bytes.first() == Some(&b'\n') {
            from = 1;
        }
        self.after_cr &= bytes.is_empty();
        while let Some(length) = bytes[from..].iter().position(|byte| matches!(byte, b'\n' | b'\r'))
        {
            let end = from + length;
            let mut next = end + 1;
            if bytes[end] == b'\r' {
                match bytes.get(next) {
                    Some(b'\n') => next += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.end_line(&bytes[from..end], |line| each(line, next));
            from = next;
        }
        self.keep(&bytes[from..]);
    }

    fn end_line(&mut self, rest: &[u8], each: impl FnOnce(Line<'_>)) {
        if self.kept.is_empty() && !self.too_long && rest.len() <= self.bytes_max {
            return each(Line::Whole(rest));
        }
        self.keep(rest);
        each(if self.too_long { Line::TooLong } else { Line::Whole(&self.kept) });
        self.kept.clear();
        self.too_long = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.kept.len() + bytes.len() > self.bytes_max {
            self.too_long = true;
            self.kept.clear();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes_max: usize, chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(bytes_max);
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.feed(chunk.as_bytes(), |line, _| {
                seen.push(match line {
                    Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Line::TooLong => "too long".to_owned(),
                });
            });
        }
        seen
    }

    #[test]
    fn all_three_line_ends_are_one_end() {
        let expected = ["a", "b", "", "c"];
        assert_eq!(lines(9, &["a\rb\r\n\nc\n"]), expected);
        assert_eq!(lines(9, &["a\rb\r", "\n\nc\n"]), expected);
        assert_eq!(lines(9, &["a\rb\r", "", "\n", "\n", "c\n"]), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_the_next_one_read() {
        assert_eq!(lines(3, &["abcd\nabc\n"]), ["too long", "abc"]);
        assert_eq!(lines(3, &["ab", "cd", "ef\nabc\n"]), ["too long", "abc"]);
    }
}
