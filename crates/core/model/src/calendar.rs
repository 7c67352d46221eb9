//! Points of the calendar: which minutes five fields of cron mean, and which of them is next.
//!
//! All of it is local civil time, as on the clock on the wall. What a time zone does to it, an hour
//! that comes twice or not at all, is for the caller, who has the zone's rules.

mod civil;
mod field;

use std::ops::Range;

pub use civil::Civil;
use field::{DAY, Fault, Field, HOUR, MINUTE, MONTH, WEEKDAY};

use crate::component::Calendar;

/// How far ahead a point is looked for. The 29th of February can be eight years away, as in 2096.
const YEARS_AHEAD_MAX: i16 = 8;

/// Why a text is not five fields of cron.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// There are more or fewer than five.
    #[error("a calendar has five fields (minute, hour, day, month, weekday), not {0}")]
    Count(usize),
    /// One of them is wrong.
    #[error("the {field} field: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: String,
        /// Its place in the text, in bytes.
        span: Range<usize>,
    },
    /// Each is right, and together they mean no day at all, as the 30th of February.
    #[error("no year has such a day")]
    Never,
}

impl Calendar {
    /// Reads minute, hour, day, month and weekday, parted by blanks: each `*`, or a list of
    /// numbers, names (`jan`, `mon`) and ranges, with steps where they follow `*` or a range.
    ///
    /// ```
    /// use sanctum_model::Calendar;
    ///
    /// assert_eq!(Calendar::parse("0  3 * * sun").unwrap().0, "0 3 * * sun");
    /// assert!(Calendar::parse("0 3 30 2 *").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`CalendarError`] names the first field that is wrong.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let points = Points::parse(text)?;
        let somewhen = Civil::FIRST;
        if points.next_after(somewhen).is_none() {
            return Err(CalendarError::Never);
        }
        Ok(Self(text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
    }

    /// The first point after `civil`: never `civil` itself. None if there is none within eight
    /// years, which after [`Calendar::parse`] happens at the end of the years alone.
    pub fn next_after(&self, civil: Civil) -> Option<Civil> {
        Points::parse(&self.0).ok()?.next_after(civil)
    }
}

/// The fields as sets.
#[derive(Clone, Copy, Debug)]
struct Points {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether day and weekday are both given, so that either will do.
    either: bool,
}

impl Points {
    fn parse(text: &str) -> Result<Self, CalendarError> {
        let words = words(text);
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(CalendarError::Count(words.len()));
        };
        let read = |field: &Field, (start, word): &(usize, &str)| {
            field.parse(word).map_err(|Fault { span, why }| CalendarError::Field {
                field: field.name,
                why,
                span: start + span.start..start + span.end,
            })
        };
        let given = |(_, word): &(usize, &str)| !word.starts_with('*');
        Ok(Self {
            minutes: read(&MINUTE, minute)?,
            hours: read(&HOUR, hour)?,
            days: read(&DAY, day)?,
            months: read(&MONTH, month)?,
            weekdays: read(&WEEKDAY, weekday)?,
            either: given(day) && given(weekday),
        })
    }

    fn next_after(&self, civil: Civil) -> Option<Civil> {
        let year_last = civil.year().saturating_add(YEARS_AHEAD_MAX);
        let mut from = civil.next_minute()?;
        while from.year() <= year_last {
            if !holds(self.months, from.month()) {
                from = from.next_month()?;
            } else if let Some(found) = self.within_day(from) {
                return Some(found);
            } else {
                from = from.next_day()?;
            }
        }
        None
    }

    /// The first point of the day of `from` that is not before it.
    fn within_day(&self, from: Civil) -> Option<Civil> {
        let (day, weekday) = (holds(self.days, from.day()), holds(self.weekdays, from.weekday()));
        let meant = if self.either { day || weekday } else { day && weekday };
        if !meant {
            return None;
        }
        let this_hour = holds(self.hours, from.hour());
        if let (true, Some(minute)) = (this_hour, next_in(self.minutes, from.minute())) {
            return Some(from.at(from.hour(), minute));
        }
        let hour = next_in(self.hours, from.hour() + 1)?;
        Some(from.at(hour, next_in(self.minutes, 0)?))
    }
}

fn holds(set: u64, number: i8) -> bool {
    next_in(set, number) == Some(number)
}

/// The least member of the set that is not less than `from`.
fn next_in(set: u64, from: i8) -> Option<i8> {
    let left = set.checked_shr(u32::try_from(from).ok()?)?;
    let further = i8::try_from(left.trailing_zeros()).ok()?;
    if left == 0 { None } else { from.checked_add(further) }
}

/// The words of a text, each with its place.
fn words(text: &str) -> Vec<(usize, &str)> {
    let start = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split_ascii_whitespace().map(|word| (start(word), word)).collect()
}

#[cfg(test)]
mod tests;
