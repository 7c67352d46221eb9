//! Sizes and durations as people write them.

use std::fmt;
use std::time::Duration;

/// A number of bytes. Written as a whole number and `KiB`, `MiB`, `GiB` or `TiB`.
///
/// ```
/// use sanctum_model::ByteSize;
///
/// assert_eq!(ByteSize::parse("2GiB").unwrap().bytes(), 2 << 30);
/// assert_eq!(ByteSize::parse("512 MiB").unwrap().to_string(), "512 MiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// A text that is not the quantity it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("`{0}` is not a size: write a whole number and KiB, MiB, GiB or TiB, as in \"2GiB\"")]
    Size(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: write a whole number and ms, s, m or h, as in \"90s\"")]
    Duration(String),
}

const UNITS: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

impl ByteSize {
    /// That many mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// That many gibibytes.
    pub const fn gibibytes(count: u64) -> Self {
        Self(count << 30)
    }

    /// Exactly that many bytes.
    pub const fn from_bytes(count: u64) -> Self {
        Self(count)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads a size.
    ///
    /// # Errors
    ///
    /// [`QuantityError::Size`] when the text is not a whole number with a unit.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError::Size(text.to_owned());
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        number.checked_mul(*factor).map(Self).ok_or_else(wrong)
    }
}

/// The size in its largest unit that keeps it whole, else in tenths.
impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = UNITS.iter().rev().find(|(_, factor)| self.0 >= *factor);
        match largest {
            None => write!(formatter, "{} B", self.0),
            Some((unit, factor)) if self.0.is_multiple_of(*factor) => {
                write!(formatter, "{} {unit}", self.0 / factor)
            }
            Some((unit, factor)) => {
                let tenths =
                    (u128::from(self.0) * 10 + u128::from(factor / 2)) / u128::from(*factor);
                write!(formatter, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
        }
    }
}

/// Reads a duration: a whole number and `ms`, `s`, `m` or `h`.
///
/// # Errors
///
/// [`QuantityError::Duration`] when the text is anything else.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let wrong = || QuantityError::Duration(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit.trim() {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_the_unit_a_reader_would_choose() {
        for (bytes, shown) in
            [(0, "0 B"), (1023, "1023 B"), (98_362_432, "93.8 MiB"), (3 << 30, "3 GiB")]
        {
            assert_eq!(ByteSize(bytes).to_string(), shown);
        }
    }

    #[test]
    fn a_size_without_a_known_unit_is_refused() {
        for bad in ["", "2", "GiB", "2GB", "-1GiB", "1.5GiB", "99999999999TiB"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("5 m"), Ok(Duration::from_mins(5)));
        for bad in ["", "90", "s", "1d", "1.5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
