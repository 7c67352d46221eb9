//! Seats that fail, each in its own way.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sanctum_dialect::{ChatStream, Cut};

use crate::support::*;

/// A port on which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const GOOD: &str = r#"{"choices":[{"message":{"content":"hi"}}]}"#;

#[test]
fn another_seat_answers_when_the_first_cannot() {
    let refusing = |status: &'static str| Upstream::start(move |_| json(status, "{}"));
    let (busy, broken) = (refusing("429 Too Many Requests"), refusing("500 Oops"));
    let unauthorized = refusing("401 Unauthorized");
    let empty = Upstream::start(|_| json("200 OK", ""));
    let closing = Upstream::start(|_| vec![]);
    let headless = Upstream::start(|_| vec![stream_head()]);
    let good = Upstream::start(|_| json("200 OK", GOOD));
    for port in [
        closed_port(),
        busy.port,
        broken.port,
        unauthorized.port,
        empty.port,
        closing.port,
        headless.port,
    ] {
        let proxyd = Proxyd::start(&(seat("first", port) + &seat("second", good.port)));
        let reply = proxyd.exchange(&proxyd.chat(ASK));
        assert_eq!((reply.status, reply.body.as_str()), (200, GOOD));
        assert_eq!(reply.header("x-sanctum-seat"), Some("second"));
        assert!(proxyd.request_line().contains("attempts=2"), "{}", proxyd.log());
        assert!(proxyd.log().contains("seat did not answer"), "{}", proxyd.log());
    }
    let last = &good.seen()[6];
    let sent = String::from_utf8_lossy(&last.body);
    assert_eq!(sent, ASK.replace("council-brain", "small/model:1"), "the copy is fresh");
}

#[test]
fn seats_are_tried_by_rank_and_then_in_the_order_of_the_file() {
    let busy = Upstream::start(|_| json("503 Busy", "{}"));
    let good = Upstream::start(|_| json("200 OK", GOOD));
    let ranked = |name: &str, port: u16, rank: u32| {
        seat(name, port).replace("small/model:1\"", &format!("{name}\", rank = {rank}"))
    };
    let seats = ranked("last", good.port, 7)
        + &ranked("first", busy.port, 0)
        + &ranked("second", busy.port, 0);
    let proxyd = Proxyd::start(&seats);
    assert_eq!(proxyd.exchange(&proxyd.chat(ASK)).header("x-sanctum-seat"), Some("last"));
    let asked: Vec<_> =
        busy.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    let expected = ["first", "second"].map(|name| ASK.replace("council-brain", name));
    assert_eq!(asked, expected);
}

#[test]
fn a_silent_seat_is_left_at_the_limit_for_another() {
    for silent in [vec![Step::Hang], vec![stream_head(), Step::Hang]] {
        let hanging = Upstream::start(move |_| silent.clone());
        let good = Upstream::start(|_| json("200 OK", GOOD));
        let proxyd =
            Proxyd::start(&(hasty_seat("first", hanging.port) + &seat("second", good.port)));
        let started = Instant::now();
        let reply = proxyd.exchange(&proxyd.chat(ASK));
        assert_eq!(reply.header("x-sanctum-seat"), Some("second"));
        let elapsed = started.elapsed();
        assert!(
            elapsed > Duration::from_secs(2) && elapsed < Duration::from_secs(10),
            "{elapsed:?}"
        );
        hanging.wait_until_gone();
    }
}

#[test]
fn when_no_seat_answers_the_caller_hears_what_each_did() {
    let proxyd = Proxyd::start(&(seat("first", closed_port()) + &seat("second", closed_port())));
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.code().as_deref()), (502, Some("no_seat_answered")));
    assert!(
        reply.body.contains("`first` cannot be reached; `second` cannot be reached"),
        "{}",
        reply.body
    );
    assert!(proxyd.request_line().contains("outcome=\"no_seat\""), "{}", proxyd.log());

    let hanging = Upstream::start(|_| vec![Step::Hang]);
    let proxyd = Proxyd::start(&hasty_seat("only", hanging.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.code().as_deref()), (504, Some("seat_timeout")));
}

#[test]
fn the_last_seats_error_passes_unchanged() {
    let busy = Upstream::start(|_| json("429 Too Many Requests", "{\"error\":\"slow down\"}"));
    let proxyd = Proxyd::start(&seat("only", busy.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.body.as_str()), (429, "{\"error\":\"slow down\"}"));
}

/// What a client makes of a stream, and what it saw.
fn judged(reply: &Reply) -> Result<(), Cut> {
    let mut stream = ChatStream::new();
    stream.feed(reply.body.as_bytes()).expect("only whole events came");
    stream.finish().map(drop)
}

#[test]
fn a_stream_that_is_cut_ends_loudly() {
    let begun = || vec![stream_head(), chunk(&content("a"))];
    let torn = || chunk(&content("never seen whole")[..30]);
    let cases = [
        ("the connection closed", begun(), "upstream_stream_cut"),
        ("closed inside an event", [begun(), vec![torn()]].concat(), "upstream_stream_cut"),
        ("a clean end half way", [begun(), vec![chunks_end()]].concat(), "upstream_stream_cut"),
        ("silence", [begun(), vec![torn(), Step::Hang]].concat(), "upstream_stream_stalled"),
    ];
    for (case, steps, code) in cases {
        let upstream = Upstream::start(move |_| steps.clone());
        let good = Upstream::start(|_| json("200 OK", GOOD));
        let proxyd =
            Proxyd::start(&(hasty_seat("first", upstream.port) + &seat("second", good.port)));
        let reply = proxyd.exchange(&proxyd.chat(ASK_STREAM));
        assert_eq!(reply.status, 200, "{case}");
        assert!(!reply.whole, "{case}: the connection is cut, too");
        assert!(reply.body.starts_with(&content("a")), "{case}: {}", reply.body);
        assert!(!reply.body.contains("[DONE]") && !reply.body.contains("finish_reason\":\""));
        match judged(&reply) {
            Err(Cut::Error(error)) => assert_eq!(error.code.as_deref(), Some(code), "{case}"),
            other => panic!("{case}: {other:?}"),
        }
        assert!(good.seen().is_empty(), "{case}: never another seat after the first byte");
        assert!(proxyd.request_line().contains("outcome=\"upstream_cut\""), "{}", proxyd.log());
    }
}

#[test]
fn a_stream_that_tells_of_its_own_error_gets_no_second_one() {
    let told = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let upstream = Upstream::start(move |_| {
        vec![stream_head(), chunk(&content("a")), chunk(told), chunks_end()]
    });
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK_STREAM));
    assert_eq!((reply.body, reply.whole), (format!("{}{told}", content("a")), false));
}

#[test]
fn an_answer_that_is_not_streamed_is_cut_as_loudly() {
    let counted =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"half\":";
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n";
    for head in [counted, chunked] {
        let upstream = Upstream::start(move |_| vec![send(head)]);
        let proxyd = Proxyd::start(&seat("general", upstream.port));
        let reply = proxyd.exchange(&proxyd.chat(ASK));
        assert_eq!((reply.body.as_str(), reply.whole), ("{\"half\":", false));
        assert!(proxyd.request_line().contains("outcome=\"upstream_cut\""), "{}", proxyd.log());
    }
}

#[test]
fn after_every_fault_a_good_call_succeeds() {
    let upstream = Upstream::start(|number| match number {
        0 => vec![stream_head(), chunk(&content("a"))],
        1 => vec![],
        2 => json("500 Oops", "{}"),
        _ => json("200 OK", GOOD),
    });
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let statuses: Vec<_> = (0..4).map(|_| proxyd.exchange(&proxyd.chat(ASK)).status).collect();
    assert_eq!(statuses, [200, 502, 500, 200]);
}
