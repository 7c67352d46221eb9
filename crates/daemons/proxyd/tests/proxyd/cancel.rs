//! A caller that leaves: the seat is left within 100 ms, whatever the moment.

use std::io::Read as _;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::*;

/// How soon the seat's connection must be closed after the caller's.
const NOTICE_MAX: Duration = Duration::from_millis(100);
/// A machine busy with other things may hold up the test itself; not three times in a row.
const TRIES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Leave {
    Close,
    /// As an SSH forward does when the far end closes: the sending half first.
    HalfClose,
}

fn leaves(steps: &[Step], ask: &str, awaited: &str, leave: Leave) {
    let notices: Vec<_> = (0..TRIES)
        .map(|_| notice(steps.to_vec(), ask, awaited, leave))
        .take_while(|notice| *notice >= NOTICE_MAX)
        .collect();
    assert!(notices.len() < TRIES, "{leave:?}: {notices:?}");
}

/// Sends `ask`, waits for `awaited` in the answer, leaves, and tells after what time the seat was
/// left.
fn notice(steps: Vec<Step>, ask: &str, awaited: &str, leave: Leave) -> Duration {
    let upstream = Upstream::start(move |_| steps.clone());
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let mut stream = proxyd.send(&proxyd.chat(ask));
    upstream.wait_for_request();
    read_until(&mut stream, awaited);
    let left = Instant::now();
    let kept = match leave {
        Leave::Close => {
            drop(stream);
            None
        }
        Leave::HalfClose => {
            stream.shutdown(Shutdown::Write).unwrap();
            Some(stream)
        }
    };
    let notice = upstream.wait_until_gone().saturating_duration_since(left);
    let line = proxyd.request_line();
    assert!(line.contains("outcome=\"client_gone\""), "{line}");
    drop(kept);
    notice
}

fn read_until(stream: &mut TcpStream, awaited: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(awaited) {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
}

#[test]
fn before_the_seat_has_said_anything() {
    for leave in [Leave::Close, Leave::HalfClose] {
        for ask in [ASK, ASK_STREAM] {
            leaves(&[Step::Hang], ask, "", leave);
        }
    }
}

#[test]
fn between_the_seats_headers_and_its_first_token() {
    for leave in [Leave::Close, Leave::HalfClose] {
        leaves(&[stream_head(), Step::Hang], ASK_STREAM, "", leave);
    }
}

#[test]
fn after_the_first_token() {
    for leave in [Leave::Close, Leave::HalfClose] {
        let steps = [stream_head(), chunk(&content("first")), Step::Hang];
        leaves(&steps, ASK_STREAM, "first", leave);
    }
}

#[test]
fn in_the_middle_of_an_answer_that_is_not_streamed() {
    for leave in [Leave::Close, Leave::HalfClose] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"half\":";
        leaves(&[send(head), Step::Hang], ASK, "half", leave);
    }
}
