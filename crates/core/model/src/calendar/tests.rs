//! What is promised of it, held.

use super::*;

fn civil(text: &str) -> Civil {
    let numbers: Vec<i16> = text.split(['-', ' ', ':']).map(|word| word.parse().unwrap()).collect();
    let small = |index: usize| i8::try_from(numbers[index]).unwrap();
    Civil::new(numbers[0], small(1), small(2), small(3), small(4)).unwrap()
}

fn next(calendar: &str, after: &str) -> String {
    let calendar = Calendar::parse(calendar).unwrap_or_else(|error| panic!("{calendar}: {error}"));
    calendar.next_after(civil(after)).map(|civil| civil.to_string()).unwrap_or_default()
}

fn said(calendar: &str) -> String {
    Calendar::parse(calendar).unwrap_err().to_string()
}

#[test]
fn the_next_point_is_after_now_and_never_now() {
    for (calendar, after, expected) in [
        ("* * * * *", "2026-11-25 08:17", "2026-11-25 08:18"),
        ("0 3 * * *", "2026-11-25 02:59", "2026-11-25 03:00"),
        ("0 3 * * *", "2026-11-25 03:00", "2026-11-26 03:00"),
        ("30 9-17 * * *", "2026-11-25 17:30", "2026-11-26 09:30"),
        ("*/15 * * * *", "2026-11-25 08:45", "2026-11-25 09:00"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
        ("0 0 1 1 *", "2026-12-31 23:59", "2027-01-01 00:00"),
        ("5-59/20 4 * * *", "2026-11-25 04:05", "2026-11-25 04:25"),
        ("0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00"),
        ("1,7,58 5,6 * * *", "2026-11-25 05:58", "2026-11-25 06:01"),
    ] {
        assert_eq!(next(calendar, after), expected, "{calendar} after {after}");
    }
}

#[test]
fn leap_days_come_when_they_come() {
    assert_eq!(next("0 0 29 2 *", "2026-01-01 00:00"), "2028-02-29 00:00");
    assert_eq!(next("0 0 29 2 *", "2096-02-29 00:00"), "2104-02-29 00:00");
    assert_eq!(next("0 0 29 feb *", "2099-12-31 23:59"), "2104-02-29 00:00");
    assert_eq!(next("0 0 28-29 2 *", "2100-02-28 00:00"), "2101-02-28 00:00");
}

#[test]
fn a_day_that_no_year_has_is_refused() {
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 apr *"] {
        assert_eq!(said(never), "no year has such a day", "{never}");
    }
    assert_eq!(next("0 0 30 2 mon", "2026-01-01 00:00"), "2026-02-02 00:00");
}

#[test]
fn a_day_and_a_weekday_mean_either() {
    // 2026-11-25 is a Wednesday.
    assert_eq!(next("0 0 13 * fri", "2026-11-25 00:00"), "2026-11-27 00:00");
    assert_eq!(next("0 0 13 * fri", "2026-12-11 00:00"), "2026-12-13 00:00");
    assert_eq!(next("0 0 * * fri", "2026-11-27 00:00"), "2026-12-04 00:00");
    assert_eq!(next("0 0 13 * *", "2026-11-25 00:00"), "2026-12-13 00:00");
    // What begins with `*` is not "given": both must hold, as cron has it.
    assert_eq!(next("0 0 */2 * mon", "2026-11-25 00:00"), "2026-12-07 00:00");
}

#[test]
fn weekdays_have_names_and_sunday_has_two_numbers() {
    for sunday in ["0", "7", "sun", "SUN"] {
        assert_eq!(next(&format!("0 3 * * {sunday}"), "2026-11-25 00:00"), "2026-11-29 03:00");
    }
    for weekend in ["sat-sun", "6-7", "sat,sun", "6,0", "sat-7"] {
        let calendar = format!("0 3 * * {weekend}");
        assert_eq!(next(&calendar, "2026-11-25 00:00"), "2026-11-28 03:00", "{weekend}");
        assert_eq!(next(&calendar, "2026-11-28 03:00"), "2026-11-29 03:00", "{weekend}");
        assert_eq!(next(&calendar, "2026-11-29 03:00"), "2026-12-05 03:00", "{weekend}");
    }
    assert_eq!(next("0 0 * * */2", "2026-11-27 00:00"), "2026-11-28 00:00");
}

#[test]
fn the_weekday_of_a_day_is_that_of_history() {
    for (day, weekday) in [
        ("1969-07-20 20:17", 0),
        ("2000-01-01 00:00", 6),
        ("2000-02-29 00:00", 2),
        ("2026-11-25 08:17", 3),
        ("2100-03-01 00:00", 1),
        ("0001-01-01 00:00", 1),
    ] {
        assert_eq!(civil(day).weekday(), weekday, "{day}");
    }
}

#[test]
fn each_day_follows_the_one_before_and_no_weekday_is_left_out() {
    let (mut day, mut days) = (civil("1999-01-01 00:00"), 0);
    while day.year() < 2399 {
        let next = day.next_day().unwrap();
        assert!(next > day);
        assert_eq!(next.weekday(), (day.weekday() + 1) % 7, "{next}");
        assert_eq!(Civil::new(next.year(), next.month(), next.day(), 0, 0), Some(next));
        (day, days) = (next, days + 1);
    }
    assert_eq!(days, 146_097, "the days of 400 years");
}

#[test]
fn the_wrong_field_is_named_with_its_place() {
    for (text, expected, place) in [
        ("60 3 * * *", "the minute field: 60 is not from 0 to 59", "60"),
        ("0 24 * * *", "the hour field: 24 is not from 0 to 23", "24"),
        ("0 3 0 * *", "the day field: 0 is not from 1 to 31", "0"),
        ("0 3 * 13 *", "the month field: 13 is not from 1 to 12", "13"),
        ("0 3 * * 8", "the weekday field: 8 is not from 0 to 7", "8"),
        (
            "0 3 * * 1,funday",
            "the weekday field: `funday` is not a number from 0 to 7 or a name as `sun`",
            "funday",
        ),
        ("0 x * * *", "the hour field: `x` is not a number from 0 to 23", "x"),
        ("0 5-3 * * *", "the hour field: the range `5-3` ends before it begins", "5-3"),
        ("*/0 3 * * *", "the minute field: `/0` is not a step from 1 to 60", "*/0"),
        ("*/61 3 * * *", "the minute field: `/61` is not a step from 1 to 60", "*/61"),
        ("*/+5 3 * * *", "the minute field: `/+5` is not a step from 1 to 60", "*/+5"),
        (
            "5/15 3 * * *",
            "the minute field: a step follows `*` or a range: write `5-59/15`",
            "5/15",
        ),
        ("1,,2 3 * * *", "the minute field: `` is not a number from 0 to 59", ""),
        ("-1 3 * * *", "the minute field: `` is not a number from 0 to 59", "-1"),
        ("0 300 * * *", "the hour field: 300 is not from 0 to 23", "300"),
    ] {
        let error = Calendar::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
        let CalendarError::Field { span, .. } = error else { panic!("{text}: {error}") };
        assert_eq!(&text[span], place, "{text}");
    }
}

#[test]
fn five_fields_are_five() {
    for (text, count) in [("", 0), ("0 3 * *", 4), ("0 0 3 * * *", 6), ("@daily", 1)] {
        assert_eq!(Calendar::parse(text), Err(CalendarError::Count(count)), "{text}");
    }
}

#[test]
fn a_calendar_is_kept_with_single_blanks() {
    assert_eq!(Calendar::parse(" 0\t3  * * mon ").unwrap(), Calendar("0 3 * * mon".to_owned()));
}

#[test]
fn what_was_never_checked_has_no_next_point() {
    assert_eq!(Calendar("nonsense".to_owned()).next_after(Civil::FIRST), None);
    assert_eq!(Calendar("0 0 30 2 *".to_owned()).next_after(Civil::FIRST), None);
}

#[test]
fn after_the_last_minute_of_the_last_year_there_is_none() {
    assert_eq!(next("* * * * *", "9999-12-31 23:58"), "9999-12-31 23:59");
    assert_eq!(next("* * * * *", "9999-12-31 23:59"), "");
}

/// Minute by minute over four years, by the definition and not by sets.
#[test]
fn a_search_by_the_minute_finds_the_same() {
    let calendar = Calendar::parse("7,37 */6 1-7 2,8 sat").unwrap();
    let (mut minute, mut expected) = (civil("2026-11-25 08:17"), Vec::new());
    while minute.year() < 2030 {
        minute = minute.next_minute().unwrap();
        let day = minute.day() <= 7 || minute.weekday() == 6;
        let month = minute.month() == 2 || minute.month() == 8;
        let time = minute.hour() % 6 == 0 && [7, 37].contains(&minute.minute());
        if day && month && time {
            expected.push(minute);
        }
    }
    let mut found = Vec::new();
    let mut point = calendar.next_after(civil("2026-11-25 08:17"));
    while let Some(this) = point.filter(|point| point.year() < 2030) {
        found.push(this);
        point = calendar.next_after(this);
    }
    assert_eq!(found, expected);
}
