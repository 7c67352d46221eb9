//! A caller that leaves: the seat is left within 100 ms, whatever the moment.

use std::io::Read as _;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::*;

/// How soon the seat's connection must be closed after the caller's.
const NOTICE_MAX: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Leave {
    Close,
    /// As an SSH forward does when the far end closes: the sending half first.
    HalfClose,
}

/// Sends `ask`, waits for `awaited` in the answer, leaves, and sees the seat being left.
fn leaves(steps: Vec<Step>, ask: &str, awaited: &str, leave: Leave) {
    let upstream = Upstream::start(move |_| steps.clone());
    let patient = seat("general", upstream.port)
        .replace("first_byte_timeout_s = 2", "first_byte_timeout_s = 60")
        .replace("idle_timeout_s = 1", "idle_timeout_s = 60");
    let proxyd = Proxyd::start(&patient);
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
    assert!(notice < NOTICE_MAX, "{notice:?} {leave:?}");
    let line = proxyd.request_line();
    assert!(line.contains("outcome=\"client_gone\""), "{line}");
    drop(kept);
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
            leaves(vec![Step::Hang], ask, "", leave);
        }
    }
}

#[test]
fn between_the_seats_headers_and_its_first_token() {
    for leave in [Leave::Close, Leave::HalfClose] {
        leaves(vec![stream_head(), Step::Hang], ASK_STREAM, "", leave);
    }
}

#[test]
fn after_the_first_token() {
    for leave in [Leave::Close, Leave::HalfClose] {
        let steps = vec![stream_head(), chunk(&content("first")), Step::Hang];
        leaves(steps, ASK_STREAM, "first", leave);
    }
}

#[test]
fn in_the_middle_of_an_answer_that_is_not_streamed() {
    for leave in [Leave::Close, Leave::HalfClose] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"half\":";
        leaves(vec![send(head), Step::Hang], ASK, "half", leave);
    }
}
