//! Moments as people write them.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, Zoned};

use crate::failure::Failure;

/// Milliseconds since 1970 of what somebody wrote: how long ago (`10m`, `3d`), a time of today or
/// of yesterday if it is still to come (`08:30`), a date and time here, or one with its offset.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<u64, Failure> {
    let moment = ago(text, now).or_else(|| at(text, now)).ok_or_else(|| {
        Failure::new(format!("`{text}` is no moment"))
            .with_code(2)
            .hint("10m, 2h, 3d, 08:30, 2026-01-31T08:30 or 2026-01-31T08:30:00Z")
    })?;
    Ok(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}

fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let duration = match text.strip_suffix('d') {
        Some(days) => Duration::from_secs(days.parse::<u64>().ok()?.checked_mul(86_400)?),
        None => sanctum_model::parse_duration(text).ok()?,
    };
    // What is longer than time itself is since its beginning.
    Some(now.timestamp().checked_sub(duration).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn at(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let local = |moment: DateTime| {
        moment.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp())
    };
    if !text.contains('-')
        && let Ok(time) = text.parse::<Time>()
    {
        let today = now.date().to_datetime(time);
        let is_to_come = today > now.datetime();
        return local(if is_to_come { today.yesterday().ok()? } else { today });
    }
    text.parse::<DateTime>().ok().and_then(local)
}

/// The moment that a line of a log begins with, in milliseconds since 1970: RFC 3339, as most
/// loggers write it. A bracket may stand before it.
pub(crate) fn at_beginning(line: &str) -> Option<u64> {
    const LENGTH_MAX: usize = 40;
    let text = line.trim_start_matches('[');
    let end = text.find([' ', ']', '\t']).unwrap_or(text.len());
    if !(20..=LENGTH_MAX).contains(&end) {
        return None;
    }
    let moment: Timestamp = text[..end].parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let now: Zoned = "2026-11-25T08:00:00+02:00[+02:00]".parse().unwrap();
        match parse(text, &now) {
            Ok(ms) => Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap().to_string(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn a_moment_is_understood_as_people_write_it() {
        for (text, moment) in [
            ("10m", "2026-11-25T05:50:00Z"),
            ("2d", "2026-11-23T06:00:00Z"),
            ("07:30", "2026-11-25T05:30:00Z"),
            ("09:30", "2026-11-24T07:30:00Z"),
            ("2026-01-31T08:30", "2026-01-31T06:30:00Z"),
            ("2026-01-31 08:30:15", "2026-01-31T06:30:15Z"),
            ("2026-01-31T08:30:00Z", "2026-01-31T08:30:00Z"),
            ("99999999999h", "1970-01-01T00:00:00Z"),
            ("soon", "`soon` is no moment"),
            ("", "`` is no moment"),
        ] {
            assert_eq!(shown(text), moment, "{text}");
        }
    }

    #[test]
    fn a_line_has_a_time_if_it_begins_with_one() {
        assert_eq!(at_beginning("2026-11-25T03:59:00.123Z INFO x"), Some(1_795_579_140_123));
        assert_eq!(at_beginning("[2026-11-25T03:59:00Z] x"), Some(1_795_579_140_000));
        assert_eq!(at_beginning("hello"), None);
        assert_eq!(at_beginning("2026-11-25 was a day of many words"), None);
        assert_eq!(at_beginning("ä".repeat(25).as_str()), None);
    }
}
