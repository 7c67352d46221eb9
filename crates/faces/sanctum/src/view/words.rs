//! Small pieces of text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::output::shown;

/// Text that others wrote, with nothing in it that a terminal would obey.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_order = |c: char| c.is_control() && c != '\t';
    if !text.contains(is_order) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_order(c) {
            write!(safe, "{}", c.escape_default()).expect("a text takes more text");
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The same, but for colours: what a program wrote for a terminal.
pub(crate) fn colored_printable(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return printable(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find('\u{1b}') {
        safe.push_str(&printable(&rest[..begin]));
        rest = &rest[begin..];
        let length = color_length(rest).unwrap_or(1);
        let (order, after) = rest.split_at(length);
        safe.push_str(&if length == 1 { printable(order) } else { Cow::Borrowed(order) });
        rest = after;
    }
    safe.push_str(&printable(rest));
    Cow::Owned(safe)
}

/// The length of the order at the beginning, if that sets a colour: `ESC [ 1 ; 31 m`.
fn color_length(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    numbers[end..].starts_with('m').then_some(2 + end + 1)
}

/// The first names of a list, and how many more there are.
pub(crate) fn names(names: &[&str], shown_max: usize) -> String {
    let shown = names.iter().take(shown_max).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(shown_max) {
        0 => shown,
        more => format!("{shown} (and {more} more)"),
    }
}

/// Milliseconds as a person says them.
pub(crate) fn age(millis: u64) -> String {
    shown(Duration::from_millis(millis))
}

/// A moment, in milliseconds since 1970, as local date and time.
pub(crate) fn local(at_ms: u64, zone: &TimeZone) -> String {
    let moment = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(
        || format!("{at_ms} ms"),
        |moment| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_sent() {
        assert_eq!(printable("plain\tÜ"), "plain\tÜ");
        assert_eq!(printable("a\u{1b}]0;x\u{7}b\r"), "a\\u{1b}]0;x\\u{7}b\\r");
    }

    #[test]
    fn colours_are_all_that_a_program_may_order() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2Jgone\u{7}";
        assert_eq!(colored_printable(text), "\u{1b}[1;31mred\u{1b}[0m \\u{1b}[2Jgone\\u{7}");
        assert_eq!(colored_printable("\u{1b}["), "\\u{1b}[");
    }

    #[test]
    fn a_long_list_of_names_ends_with_a_count() {
        assert_eq!(names(&["a", "b"], 2), "a, b");
        assert_eq!(names(&["a", "b", "c", "d"], 2), "a, b (and 2 more)");
    }

    #[test]
    fn a_moment_is_shown_in_the_zone_of_the_reader() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(local(1_795_579_140_123, &zone), "2026-11-25 05:59:00.123");
        assert_eq!(local(u64::MAX, &zone), "18446744073709551615 ms");
    }
}
