//! Files that rotate, written and read while they do.
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn total(path: &Path) -> u64 {
    let directory = fs::read_dir(path.parent().unwrap()).unwrap();
    directory.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

fn read_all(path: &Path) -> Vec<String> {
    lines(path).unwrap().map(|line| String::from_utf8(line.unwrap()).unwrap()).collect()
}

/// A line that does not shrink well, with its number first.
fn line(number: u64) -> String {
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut text = format!("{number}");
    for _ in 0..10 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        write!(text, " {random:x}").unwrap();
    }
    text
}

fn number_of(line: &str) -> u64 {
    line.split(' ').next().unwrap().parse().unwrap()
}

fn file_in(home: &tempfile::TempDir, writers: Writers) -> (PathBuf, RotatingFile, Archivist) {
    let path = home.path().join("logs/x.log");
    let archivist = Archivist::default();
    let file = RotatingFile::new(path.clone(), BYTES_MAX_MIN, writers, archivist.clone());
    (path, file, archivist)
}

#[test]
fn the_newest_lines_are_kept_without_a_hole_and_below_the_cap() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, archivist) = file_in(&home, Writers::One);
    for number in 0..40_000 {
        file.append(format!("{}\n", line(number)).as_bytes()).unwrap();
        if number % 100 == 0 {
            assert!(total(&path) <= BYTES_MAX_MIN, "{number}: {}", total(&path));
        }
        if number > 38_000 && number % 100 == 0 {
            archivist.wait();
        }
    }
    archivist.wait();
    assert!(total(&path) <= BYTES_MAX_MIN);
    let kept = read_all(&path);
    let first = number_of(&kept[0]);
    assert!(first > 0, "the oldest are forgotten");
    assert_eq!(kept, (first..40_000).map(line).collect::<Vec<_>>());
    assert!(packed(&path, 1).exists());
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let about = entry.unwrap().metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
    let last = |count| lines_back(&path, count).unwrap();
    assert_eq!(last(0), [[0; 0]; 0]);
    assert_eq!(last(2), [line(39_998).into_bytes(), line(39_999).into_bytes()]);
    assert_eq!(
        last(10_000),
        kept[kept.len().saturating_sub(10_000)..]
            .iter()
            .map(|line| line.clone().into_bytes())
            .collect::<Vec<_>>()
    );
    assert_eq!(last(usize::MAX).len(), kept.len());
}

#[test]
fn a_follower_gets_each_line_once_however_often_the_file_is_rotated_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, archivist) = file_in(&home, Writers::One);
    for number in 0..10 {
        file.append(format!("{}\n", line(number)).as_bytes()).unwrap();
    }
    let (before, mut follow) = Follow::begin(&path, 3).unwrap();
    let mut seen: Vec<u64> =
        before.iter().map(|line| number_of(std::str::from_utf8(line).unwrap())).collect();
    let mut number = 10;
    for step in [1, 700, 1, 2_000, 0, 3_000, 1, 1, 900] {
        for _ in 0..step {
            file.append(format!("{}\n", line(number)).as_bytes()).unwrap();
            number += 1;
        }
        if step > 1_000 {
            archivist.wait();
        }
        for line in follow.poll().unwrap() {
            seen.push(number_of(std::str::from_utf8(&line).unwrap()));
        }
    }
    assert_eq!(seen, (7..number).collect::<Vec<_>>());
}

#[test]
fn a_follower_waits_for_a_file_and_for_the_end_of_a_line() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, _) = file_in(&home, Writers::One);
    let (before, mut follow) = Follow::begin(&path, 5).unwrap();
    assert!(before.is_empty() && follow.poll().unwrap().is_empty());
    file.append(b"one\ntw").unwrap();
    assert_eq!(follow.poll().unwrap(), [b"one"]);
    let (before, mut second) = Follow::begin(&path, 5).unwrap();
    assert_eq!(before, [b"one"]);
    file.append(b"o\n").unwrap();
    assert_eq!(follow.poll().unwrap(), [b"two"]);
    assert_eq!(second.poll().unwrap(), [b"two"]);
    assert_eq!(lines_back(&path, 1).unwrap(), [b"two"]);
}

#[test]
fn many_write_and_one_rotates_and_no_line_is_lost_or_torn() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, archivist) = file_in(&home, Writers::Several);
    let (_, mut follow) = Follow::begin(&path, 0).unwrap();
    let is_over = AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..2_000 {
                        append(path, &format!("{writer} {}", line(number))).unwrap();
                    }
                })
            })
            .collect();
        let owner = scope.spawn(|| {
            for number in 0..2_000 {
                file.append(format!("3 {}\n", line(number)).as_bytes()).unwrap();
            }
        });
        let follower = scope.spawn(|| {
            let mut seen = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                seen.extend(follow.poll().unwrap());
                thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..2 {
                seen.extend(follow.poll().unwrap());
            }
            seen
        });
        for writer in writers {
            writer.join().unwrap();
        }
        owner.join().unwrap();
        is_over.store(true, Ordering::Relaxed);
        seen = follower.join().unwrap();
    });
    archivist.wait();
    assert!(numbered(&path, 1).exists() || packed(&path, 1).exists(), "it was rotated");
    let seen: Vec<String> = seen.into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    for writer in 0..4 {
        let mine: Vec<String> = seen
            .iter()
            .filter_map(|line| Some(line.strip_prefix(&format!("{writer} "))?.to_owned()))
            .collect();
        assert_eq!(mine, (0..2_000).map(line).collect::<Vec<_>>(), "writer {writer}");
    }
    assert_eq!(seen.len(), 8_000);
}

#[test]
fn what_a_killed_owner_left_is_finished_or_undone() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, archivist) = file_in(&home, Writers::One);
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(numbered(&path, 1), "renamed\n").unwrap();
    fs::write(archive::beside(&path), "half a fi").unwrap();
    fs::write(&path, "cut in the mid").unwrap();
    file.append(b"next\n").unwrap();
    archivist.wait();
    assert_eq!(read_all(&path), ["renamed", "cut in the mid", "next"]);
    assert!(packed(&path, 1).exists() && !numbered(&path, 1).exists());
    assert!(!archive::beside(&path).exists());
}

#[test]
fn a_file_that_is_there_plain_and_compressed_is_read_once() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, archivist) = file_in(&home, Writers::One);
    file.append(b"old\n").unwrap();
    let kept = home.path().join("kept");
    fs::hard_link(&path, &kept).unwrap();
    file.rotate(4).unwrap();
    archivist.wait();
    fs::hard_link(&kept, numbered(&path, 1)).unwrap();
    assert_eq!(read_all(&path), ["old"]);
    let (path, mut file, _) = file_in(&home, Writers::One);
    file.append(b"new\n").unwrap();
    assert!(!numbered(&path, 1).exists(), "the plain one is not needed any more");
    assert_eq!(read_all(&path), ["old", "new"]);
}

#[test]
fn half_an_entry_of_a_journal_is_taken_out_when_its_writer_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, _) = file_in(&home, Writers::Several);
    append(&path, "one").unwrap();
    let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
    torn.write_all(b"{\"half").unwrap();
    torn.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    file.append(b"two\n").unwrap();
    assert_eq!(read_all(&path), ["one", "two"]);
    torn.write_all(b"{\"half").unwrap();
    append(&path, "three").unwrap();
    assert_eq!(read_all(&path), ["one", "two", "{\"half", "three"], "never two in one line");
}

#[test]
fn a_file_that_was_deleted_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, _) = file_in(&home, Writers::One);
    file.append(b"one\n").unwrap();
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    file.append(b"two\n").unwrap();
    assert_eq!(read_all(&path), ["two"]);
}

#[test]
fn what_is_damaged_is_said_and_the_rest_is_read() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut file, _) = file_in(&home, Writers::One);
    file.append(b"new\n").unwrap();
    fs::write(packed(&path, 1), "no gzip").unwrap();
    let read: Vec<_> = lines(&path).unwrap().collect();
    assert!(read[0].is_err());
    assert_eq!(read[1].as_ref().unwrap(), b"new");
}
