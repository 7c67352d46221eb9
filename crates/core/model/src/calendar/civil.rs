//! A minute of local civil time.

use std::fmt;

/// The last year there is a next minute in.
const YEAR_MAX: i16 = 9999;

/// A minute as calendar and clock on the wall show it; no time zone, no seconds.
///
/// The numbers are of the types that the calendar of `jiff` takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Civil {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
}

impl Civil {
    /// The first minute of the years in which the Gregorian calendar's cycle begins.
    pub(super) const FIRST: Self = Self { year: 2000, month: 1, day: 1, hour: 0, minute: 0 };

    /// That minute, if the calendar has it: years 1 to 9999, months and days from 1.
    ///
    /// ```
    /// use sanctum_model::Civil;
    ///
    /// assert!(Civil::new(2024, 2, 29, 23, 59).is_some());
    /// assert!(Civil::new(2023, 2, 29, 0, 0).is_none());
    /// ```
    pub fn new(year: i16, month: i8, day: i8, hour: i8, minute: i8) -> Option<Self> {
        let real = (1..=YEAR_MAX).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute);
        real.then_some(Self { year, month, day, hour, minute })
    }

    /// The year.
    pub const fn year(self) -> i16 {
        self.year
    }

    /// The month, from 1.
    pub const fn month(self) -> i8 {
        self.month
    }

    /// The day of the month, from 1.
    pub const fn day(self) -> i8 {
        self.day
    }

    /// The hour, from 0.
    pub const fn hour(self) -> i8 {
        self.hour
    }

    /// The minute, from 0.
    pub const fn minute(self) -> i8 {
        self.minute
    }

    /// The day of the week, Sunday being 0.
    pub fn weekday(self) -> i8 {
        // Sakamoto's: the offset of each month, with the year beginning in March.
        const OFFSETS: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = i32::from(self.year) - i32::from(self.month < 3);
        let offset = OFFSETS[usize::from(self.month.unsigned_abs()) - 1];
        let days = year + year / 4 - year / 100 + year / 400 + offset + i32::from(self.day);
        i8::try_from(days.rem_euclid(7)).unwrap_or_default()
    }

    /// The same day at another time, which the caller knows to be one.
    pub(super) const fn at(self, hour: i8, minute: i8) -> Self {
        Self { hour, minute, ..self }
    }

    pub(super) fn next_minute(self) -> Option<Self> {
        match (self.hour, self.minute) {
            (23, 59) => self.next_day(),
            (hour, 59) => Some(self.at(hour + 1, 0)),
            (hour, minute) => Some(self.at(hour, minute + 1)),
        }
    }

    /// The first minute of the next day.
    pub(super) fn next_day(self) -> Option<Self> {
        if self.day < days_in(self.year, self.month) {
            Some(Self { day: self.day + 1, hour: 0, minute: 0, ..self })
        } else {
            self.next_month()
        }
    }

    /// The first minute of the next month.
    pub(super) fn next_month(self) -> Option<Self> {
        let first = |year, month| Self { year, month, day: 1, hour: 0, minute: 0 };
        match (self.year, self.month) {
            (YEAR_MAX, 12) => None,
            (year, 12) => Some(first(year + 1, 1)),
            (year, month) => Some(first(year, month + 1)),
        }
    }
}

/// As `2026-11-25 08:17`.
impl fmt::Display for Civil {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute } = self;
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

fn days_in(year: i16, month: i8) -> i8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i16) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}
