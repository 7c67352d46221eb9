//! A component's words on their way into its log.
use std::fs;
use std::time::Instant;

use super::*;
use crate::rotating::BYTES_MAX_MIN;

const ZERO: Duration = Duration::ZERO;

fn writer() -> (tempfile::TempDir, LogWriter) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.log");
    (home, LogWriter::new(path, 32 << 20, Archivist::default()))
}

fn text(writer: &LogWriter) -> String {
    String::from_utf8(fs::read(writer.path()).unwrap_or_default()).unwrap()
}

#[test]
fn lines_are_stored_byte_for_byte_however_they_are_cut_into_pieces() {
    let (_home, mut writer) = writer();
    let mut all = Vec::new();
    for number in 0_u32..3_000 {
        all.extend_from_slice(&number.to_ne_bytes());
        all.extend_from_slice(b" \xff\x00\r words\n");
    }
    for (index, piece) in all.chunks(997).enumerate() {
        let now = Duration::from_millis(index as u64 * 70);
        writer.write(piece, now);
        writer.flush(now);
    }
    writer.finish(Duration::from_hours(1));
    assert_eq!(fs::read(writer.path()).unwrap(), all);
    assert_eq!(writer.seen(), Amount { lines: newlines(&all), bytes: all.len() as u64 });
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

#[test]
fn a_prompt_without_a_newline_is_written_when_its_time_is_over() {
    let (_home, mut writer) = writer();
    writer.write(b"one\npassword: ", ZERO);
    assert_eq!((text(&writer).as_str(), writer.deadline()), ("one\n", Some(PARTIAL_HELD_MAX)));
    writer.flush(PARTIAL_HELD_MAX);
    assert_eq!((text(&writer).as_str(), writer.deadline()), ("one\npassword: ", None));
    writer.write(b"secret\ntwo", PARTIAL_HELD_MAX);
    writer.finish(PARTIAL_HELD_MAX);
    assert_eq!(text(&writer), "one\npassword: secret\ntwo\n");
}

#[test]
fn a_line_that_comes_again_and_again_is_counted() {
    let (_home, mut writer) = writer();
    for _ in 0..1_000 {
        writer.write(b"same\nsame\nsame\n", ZERO);
    }
    assert_eq!(text(&writer), "same\n");
    assert_eq!(writer.deadline(), Some(REPEAT_SAID_EVERY));
    writer.write(b"other\nother\nlast\n", ZERO);
    assert_eq!(
        text(&writer),
        "same\ncastellan: the line above came 2999 more times\nother\nother\nlast\n"
    );
    writer.write(b"last\nlast\n", ZERO);
    writer.flush(REPEAT_SAID_EVERY);
    assert!(text(&writer).ends_with("last\ncastellan: the line above came 2 more times\n"));
}

#[test]
fn a_flood_is_limited_and_what_is_left_out_is_said() {
    let (_home, mut writer) = writer();
    let mut number = 0_u64;
    for milliseconds in 0..10_000 {
        let mut piece = Vec::new();
        for _ in 0..100 {
            number += 1;
            piece.extend_from_slice(format!("{number:0>99}\n").as_bytes());
        }
        writer.write(&piece, Duration::from_millis(milliseconds));
    }
    let at = writer.deadline().unwrap();
    writer.flush(at);
    let dropped = writer.dropped();
    let mut text = String::new();
    for line in crate::rotating::lines(writer.path()).unwrap() {
        text.push_str(std::str::from_utf8(&line.unwrap()).unwrap());
        text.push('\n');
    }
    let kept = text.lines().filter(|line| !line.starts_with("castellan")).count() as u64;
    assert_eq!(kept + dropped.lines, number, "each is there or counted");
    assert_eq!(dropped.bytes, dropped.lines * 100);
    let seconds = 11;
    assert!(text.len() as u64 <= BURST_BYTES + seconds * SUSTAINED_BYTES_PER_SECOND);
    let notices: Vec<&str> =
        text.lines().filter(|line| line.starts_with("castellan: dropped")).collect();
    assert!((1..=11).contains(&notices.len()), "{notices:?}");
    assert!(notices[0].ends_with(" of a flood: more than 1 MiB/s"), "{notices:?}");
    assert_eq!(writer.deadline(), None);
}

#[test]
fn a_line_without_end_is_cut_and_costs_no_memory() {
    let (_home, mut writer) = writer();
    for _ in 0..100 {
        writer.write(&[b'x'; 10_000], ZERO);
        assert!(writer.partial.capacity() <= PARTIAL_BYTES_MAX);
    }
    writer.write(b"\nnext\n", ZERO);
    let text = text(&writer);
    let (line, rest) = text.split_once('\n').unwrap();
    let (kept, said) = line.split_at(LINE_BYTES_MAX);
    assert!(kept.bytes().all(|byte| byte == b'x'));
    assert_eq!((said, rest), (" … castellan: cut 912.6 KiB of this line", "next\n"));
}

#[test]
fn a_line_of_just_the_longest_length_is_not_cut() {
    let (_home, mut writer) = writer();
    let line = [vec![b'x'; LINE_BYTES_MAX], vec![b'\n']].concat();
    writer.write(&line, ZERO);
    writer.write(&line[..9_000], ZERO);
    writer.write(&line[9_000..], ZERO);
    assert_eq!(fs::read(writer.path()).unwrap(), [line.clone(), line].concat());
}

#[test]
fn an_idle_writer_is_small() {
    let (_home, mut writer) = writer();
    writer.write(&[vec![b'x'; 400], vec![b'\n'], vec![b'y'; 300]].concat(), ZERO);
    let held = writer.partial.capacity() + writer.last.as_ref().map_or(0, |last| last.len());
    let size = size_of::<LogWriter>() + held;
    assert!(size < 2_048, "{size} bytes");
}

#[test]
fn what_cannot_be_written_is_said_when_it_can_be_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("logs");
    fs::write(&directory, "in the way").unwrap();
    let path = directory.join("x.log");
    let mut writer = LogWriter::new(path, BYTES_MAX_MIN, Archivist::default());
    writer.write(b"one\ntwo\n", ZERO);
    writer.write(b"three\n", ZERO);
    assert_eq!(writer.unwritten(), Amount { lines: 3, bytes: 14 });
    assert_eq!(writer.deadline(), Some(UNWRITTEN_RETRY));
    let why = writer.trouble().unwrap().to_owned();
    fs::remove_file(&directory).unwrap();
    writer.flush(UNWRITTEN_RETRY);
    writer.write(b"four\n", UNWRITTEN_RETRY);
    assert_eq!(
        text(&writer),
        format!("castellan: lost 3 lines (14 B) that could not be written: {why}\nfour\n")
    );
    assert_eq!((writer.trouble(), writer.deadline()), (None, None));
}

/// Prints what a thousand lines cost.
#[test]
fn a_thousand_lines_cost_little() {
    let (_home, mut writer) = writer();
    let mut piece = Vec::new();
    for number in 0..1_000 {
        piece.extend_from_slice(
            format!("{number} a line of a usual length, as programs write\n").as_bytes(),
        );
    }
    let start = Instant::now();
    let rounds = 100;
    for _ in 0..rounds {
        writer.write(&piece, ZERO);
    }
    let spent = start.elapsed() / rounds;
    assert!(spent < Duration::from_millis(20), "{spent:?}");
    let mut shown = std::io::stdout().lock();
    std::io::Write::write_all(&mut shown, format!("1000 lines: {spent:?}\n").as_bytes()).unwrap();
}
