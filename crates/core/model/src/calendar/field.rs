//! One field of cron, from text to the set of numbers it means.

use std::ops::Range;

/// The longest list in a field. Each number can be named once; more is a mistake.
const PARTS_MAX: usize = 60;

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u8,
    max: u8,
    /// Names of its numbers, the first that of `min`.
    names: &'static [&'static str],
}

/// What is wrong with a field, and where in it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) why: String,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Field = Field { name: "day", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Field = Field { name: "month", min: 1, max: 12, names: &MONTHS };
/// Sunday is 0 and 7.
pub(super) const WEEKDAY: Field = Field { name: "weekday", min: 0, max: 7, names: &WEEKDAYS };

impl Field {
    /// The numbers that the field means, as a set of bits.
    pub(super) fn parse(&self, text: &str) -> Result<u64, Fault> {
        let (mut set, mut start) = (0, 0);
        for (index, part) in text.split(',').enumerate() {
            let span = start..start + part.len();
            if index == PARTS_MAX {
                return Err(Fault { span, why: format!("at most {PARTS_MAX} parts") });
            }
            set |= self.part(part).map_err(|why| Fault { span, why })?;
            start += part.len() + 1;
        }
        Ok(set)
    }

    /// `*`, a number, a name or a range; after all but a single one perhaps a step.
    fn part(&self, part: &str) -> Result<u64, String> {
        let (base, step) = match part.split_once('/') {
            Some((base, step)) => (base, Some(step)),
            None => (part, None),
        };
        let (from, to) = match (base, base.split_once('-')) {
            ("*", _) => (self.min, self.max),
            (_, Some((from, to))) => self.range(base, from, to)?,
            (_, None) => {
                let number = self.number(base)?;
                if let Some(step) = step {
                    let whole = format!("{base}-{}/{step}", self.last());
                    return Err(format!("a step follows `*` or a range: write `{whole}`"));
                }
                (number, number)
            }
        };
        let step = step.map_or(Ok(1), |step| self.step(step))?;
        let numbers = (from..=to).step_by(step);
        Ok(numbers.fold(0, |set, number| set | (1 << self.folded(number))))
    }

    fn range(&self, written: &str, from: &str, to: &str) -> Result<(u8, u8), String> {
        let (from, mut to) = (self.number(from)?, self.number(to)?);
        if to == 0 && from > 0 && self.max == WEEKDAY.max {
            to = WEEKDAY.max;
        }
        if from > to {
            return Err(format!("the range `{written}` ends before it begins"));
        }
        Ok((from, to))
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        let mut names = self.names.iter().zip(self.min..);
        if let Some((_, number)) = names.find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(number);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            let or_name = match self.names {
                [] => String::new(),
                [first, ..] => format!(" or a name as `{first}`"),
            };
            let (min, max) = (self.min, self.max);
            return Err(format!("`{text}` is not a number from {min} to {max}{or_name}"));
        }
        let number = text.parse().ok().filter(|number| (self.min..=self.max).contains(number));
        number.ok_or_else(|| format!("{text} is not from {} to {}", self.min, self.max))
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let count = self.last() - self.min + 1;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let step = text.parse().ok().filter(|step| digits && (1..=count).contains(step));
        step.map(usize::from).ok_or_else(|| format!("`/{text}` is not a step from 1 to {count}"))
    }

    /// The greatest number that is not another word for a smaller one.
    fn last(&self) -> u8 {
        if self.max == WEEKDAY.max { WEEKDAY.max - 1 } else { self.max }
    }

    fn folded(&self, number: u8) -> u8 {
        if self.max == WEEKDAY.max { number % WEEKDAY.max } else { number }
    }
}
