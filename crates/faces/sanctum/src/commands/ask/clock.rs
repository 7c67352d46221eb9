//! The time of day, in words for the agent.

use std::time::{SystemTime, UNIX_EPOCH};

/// A question with the time it is asked at.
///
/// `OpenClaw` puts a bracketed time before a message that does not tell it. A small model then
/// begins its answer with such a bracket, which `OpenClaw` streams, cuts out of the final text,
/// and so has to end the stream with an error. Told in these words, which its own scheduled
/// messages use, it adds nothing.
pub(super) fn with_time(question: &str, now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{question}\n\nCurrent time: {}", shown(seconds))
}

/// Seconds since 1970 as a date and a time. The months are counted from March, so that the leap
/// day is a year's last.
fn shown(seconds: u64) -> String {
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second_of_day / 3600, second_of_day % 3600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_the_date_that_the_calendar_has() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_579_140, "2026-11-25 03:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(shown(seconds), date);
        }
    }
}
