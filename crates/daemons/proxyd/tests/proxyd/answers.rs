//! What passes, and that it passes unchanged.

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::support::*;

#[test]
fn a_request_reaches_the_seat_with_nothing_changed_but_the_model_and_the_key() {
    let upstream = Upstream::start(|_| json("200 OK", "{}"));
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let body = "{ \"messages\" : [{\"model\":\"inner\"}],\n\t\"model\":\"council-brain\" ,\"x-unknown\": {\"b\":1.0,\"a\":1e3, \"é\":\"\\u00e9\"} }\n";
    let headers = format!(
        "authorization: Bearer {KEY}\r\ntraceparent: 00-1-2-01\r\nuser-agent: OpenAI/JS 7\r\n\
         accept-encoding: gzip, deflate\r\ncookie: a=b\r\nx-api-key: k\r\nx-stainless-lang: js\r\n\
         connection: x-private\r\nx-private: 1\r\nx-sanctum-caller: forged\r\n"
    );
    let reply = proxyd.exchange(&proxyd.request("POST", "/v1/chat/completions", &headers, body));
    assert_eq!(reply.status, 200);
    let seen = &upstream.seen()[0];
    assert_eq!(String::from_utf8_lossy(&seen.body), body.replace("council-brain", "small/model:1"));
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", seen.head);
    for (name, value) in [
        ("authorization", Some(format!("Bearer {SEAT_KEY}"))),
        ("host", Some(format!("127.0.0.1:{}", upstream.port))),
        ("traceparent", Some("00-1-2-01".to_owned())),
        ("user-agent", Some("OpenAI/JS 7".to_owned())),
        ("x-stainless-lang", Some("js".to_owned())),
        ("accept-encoding", Some("identity".to_owned())),
        ("cookie", None),
        ("x-api-key", None),
        ("x-private", None),
        ("x-sanctum-caller", None),
    ] {
        assert_eq!(header(&seen.head, name).map(str::to_owned), value, "{name}");
    }
}

#[test]
fn an_answer_passes_unchanged_and_is_told_in_one_line() {
    let answer = "{ \"choices\":[], \"odd\" : [1.0],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}";
    let upstream = Upstream::start(|_| json("200 OK", answer));
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.body.as_str(), reply.whole), (200, answer, true));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-request-id"), Some("from-the-seat"));
    assert_eq!(reply.header("x-sanctum-seat"), Some("general"));
    let line = proxyd.request_line();
    let id = reply.header("x-sanctum-request-id").unwrap();
    for part in [
        id,
        "caller=\"guest-main\"",
        "model=\"council-brain\"",
        "seat=\"general\"",
        "status=200",
        "stream=false",
        "outcome=\"completed\"",
        "bytes_in=39",
        &format!("bytes_out={}", answer.len()),
        "headers_ms=",
        "first_byte_ms=",
        "total_ms=",
        "tokens_in=3",
        "tokens_out=4",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!proxyd.log().contains(KEY) && !proxyd.log().contains(SEAT_KEY));
}

#[test]
fn a_seats_own_error_passes_unchanged() {
    let body = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
    let upstream = Upstream::start(|_| json("400 Bad Request", body));
    let proxyd = Proxyd::start(&(seat("general", upstream.port) + &seat("spare", 1)));
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.body.as_str()), (400, body));
    assert!(proxyd.request_line().contains("attempts=1"), "the spare is not asked");
}

#[test]
fn a_stream_passes_unchanged_and_each_event_as_it_comes() {
    let events = [content("Hel"), content("lo"), FINISH.into(), USAGE.into(), DONE.into()];
    let whole = format!(": hello\n\n{}", events.concat());
    let upstream = Upstream::start(|_| {
        vec![
            stream_head(),
            chunk(": hello\n\n"),
            chunk(&content("Hel")),
            Step::Pause(Duration::from_millis(700)),
            // Cut in the middle of an event.
            chunk(&content("lo")[..20]),
            chunk(&content("lo")[20..]),
            chunk(&format!("{FINISH}{USAGE}{DONE}")),
            chunks_end(),
        ]
    });
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let started = Instant::now();
    let mut stream = proxyd.send(&proxyd.chat(ASK_STREAM));
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("Hel") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    assert!(started.elapsed() < Duration::from_millis(600), "the first event waited for the rest");
    drop(stream);

    let reply = proxyd.exchange(&proxyd.chat(ASK_STREAM));
    assert_eq!((reply.status, reply.body, reply.whole), (200, whole, true));
    let line = proxyd.wait_for_log("outcome=\"completed\"");
    for part in ["stream=true", "tokens_in=11", "tokens_out=2"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_stream_without_done_but_with_its_finish_reason_is_whole() {
    let upstream =
        Upstream::start(|_| vec![stream_head(), chunk(&content("a")), chunk(FINISH), chunks_end()]);
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK_STREAM));
    assert_eq!((reply.body, reply.whole), (format!("{}{FINISH}", content("a")), true));
}

#[test]
fn an_event_larger_than_what_is_held_back_passes_all_the_same() {
    let large = content(&"x".repeat(200 * 1024));
    let sent = large.clone();
    let upstream = Upstream::start(move |_| {
        let (one, other) = sent.split_at(150 * 1024);
        vec![stream_head(), chunk(one), chunk(other), chunk(DONE), chunks_end()]
    });
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let reply = proxyd.exchange(&proxyd.chat(ASK_STREAM));
    assert!(reply.whole && reply.body == format!("{large}{DONE}"));
}
