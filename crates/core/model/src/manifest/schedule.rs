//! How a component's life is written: `restart` for what stays, `schedule` for a task.

use std::time::Duration;

use super::reader::{Placed, Problems, Reader};
use crate::{Calendar, CalendarError, Life, parse_duration};

/// Runs of a task are at least this far apart.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// Runs of a task are at most this far apart, which is a year.
const EVERY_MAX: Duration = Duration::from_hours(365 * 24);

/// How often everything is looked at from outside, unless it is told otherwise.
const SWEEP: Duration = Duration::from_mins(10);

const FORMS: &str = "write \"once\", \"every 10m\", \"daily 03:00\", \"weekly sun 03:00\", \
                     or five fields of cron, as \"0 3 * * *\"";

/// When what has ended is started again.
#[derive(Clone, Copy, Debug)]
enum Again {
    Always,
    OnFailure,
    Never,
}

/// The life that `restart` or `schedule` says.
pub(super) fn life(reader: &mut Reader<'_, '_>) -> Life {
    let words =
        [("always", Again::Always), ("on-failure", Again::OnFailure), ("never", Again::Never)];
    let schedule = reader.text("schedule");
    let restarts = reader.has("restart");
    let restart = match reader.choice("restart", Again::Always, &words) {
        Again::Always => Life::Always,
        Again::OnFailure => Life::UntilSuccess,
        Again::Never => Life::Never,
    };
    let Some(schedule) = schedule else { return restart };
    if restarts {
        let message = "`restart` and `schedule` together: a task is started by its schedule alone";
        reader.problems().add_with_help(schedule.span.clone(), message, "leave one of them out");
    }
    parse(&schedule, &reader.name("schedule"), reader.problems())
}

/// How often everything is looked at from outside: an interval, or never.
pub(super) fn sweep(reader: &mut Reader<'_, '_>) -> Option<Duration> {
    reader.parsed("sweep", Some(SWEEP), |text| match text {
        "never" => Ok(None),
        interval => {
            every(interval).map(Some).map_err(|why| format!("{why}; \"never\" for no sweep at all"))
        }
    })
}

/// What cannot be read is taken for a task all the same, so that nothing else is said about it.
fn parse(schedule: &Placed<String>, key: &str, problems: &Problems) -> Life {
    let text = schedule.value.trim();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let calendar = match words.as_slice() {
        ["once"] => return Life::Once,
        ["every", interval @ ..] => {
            return every(&interval.join(" ")).map_or_else(
                |why| {
                    problems.add(schedule.span.clone(), format!("`{key}`: {why}"));
                    Life::Once
                },
                Life::Every,
            );
        }
        ["daily", time] => at(time).map(|at| format!("{at} * * *")),
        ["weekly", weekday, time] => at(time).map(|at| format!("{at} * * {weekday}")),
        ["daily" | "weekly", ..] => Err("it is \"daily 03:00\" or \"weekly sun 03:00\"".to_owned()),
        _ => Ok(schedule.value.clone()),
    };
    match calendar {
        Ok(calendar) => self::calendar(&calendar, schedule, key, problems),
        Err(why) => {
            problems.add_with_help(schedule.span.clone(), format!("`{key}`: {why}"), FORMS);
            Life::Once
        }
    }
}

fn calendar(text: &str, schedule: &Placed<String>, key: &str, problems: &Problems) -> Life {
    match Calendar::parse(text) {
        Ok(calendar) => Life::Calendar(calendar),
        Err(error) => {
            let message = format!("`{key}`: {error}");
            match &error {
                // Within the quotes, if what is written between them is the text itself.
                CalendarError::Field { span, .. }
                    if text == schedule.value && schedule.span.len() == text.len() + 2 =>
                {
                    let start = schedule.span.start + 1;
                    problems.add(start + span.start..start + span.end.max(span.start + 1), message);
                }
                CalendarError::Count(_) => {
                    problems.add_with_help(schedule.span.clone(), message, FORMS);
                }
                CalendarError::Field { .. } | CalendarError::Never => {
                    problems.add(schedule.span.clone(), message);
                }
            }
            Life::Once
        }
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    if (EVERY_MIN..=EVERY_MAX).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("`{text}` is not from 1s to a year (8760h)"))
    }
}

/// Minute and hour of cron for a time of the day.
fn at(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a time of the day from 00:00 to 23:59");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, max: u8| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u8>().ok().filter(|number| digits && *number <= max).ok_or_else(wrong)
    };
    let (hour, minute) = (number(hour, 23)?, number(minute, 59)?);
    Ok(format!("{minute} {hour}"))
}
