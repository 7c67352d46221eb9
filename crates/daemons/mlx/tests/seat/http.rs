//! A seat from outside: a real process with the scripted engine, asked over real connections.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::support::{Answer, Seat, eventually, fails, question};
use serde_json::{Value, json};

#[test]
fn an_answer_is_given_in_one_piece() {
    let seat = Seat::scripted(&["--name", "general"]);
    let answer = seat.chat(&question("count to 5", r#","model":"something""#));
    assert_eq!(answer.content(), "1 2 3 4 5");
    let json = answer.json();
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["model"], "general");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    assert_eq!(json["usage"]["completion_tokens"], 10);
    assert_eq!(answer.header("x-sanctum-model"), Some("general"));
    assert_eq!(answer.header("x-sanctum-dropped"), None);
}

#[test]
fn an_answer_is_streamed_from_the_role_to_done() {
    let seat = Seat::scripted(&[]);
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let answer = seat.chat(&question("grüße 🦀", more));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.streamed_text(), "grüße 🦀");
    let events = answer.events();
    let chunk = |at: usize| serde_json::from_str::<Value>(events[at]).unwrap();
    let last = events.len() - 1;
    assert_eq!(chunk(0)["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunk(last - 2)["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunk(last - 1)["choices"], json!([]));
    assert_eq!(chunk(last - 1)["usage"]["completion_tokens"], 13);
    assert_eq!(events[last], "[DONE]");
}

#[test]
fn a_stream_tells_no_usage_unless_asked() {
    let answer = Seat::scripted(&[]).chat(&question("hi", r#","stream":true"#));
    assert!(!answer.body.contains("usage"), "{}", answer.body);
}

#[test]
fn why_an_answer_ended_is_told_truly() {
    let seat = Seat::scripted(&[]);
    let cut = seat.chat(&question("count to 5", r#","max_tokens":3"#));
    assert_eq!(cut.content(), "1 2");
    assert_eq!(cut.json()["choices"][0]["finish_reason"], "length");
    let stopped = seat.chat(&question("count to 50", r#","stop":[" 4","9"]"#));
    assert_eq!(stopped.content(), "1 2 3");
    assert_eq!(stopped.json()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn only_health_is_told_without_the_key() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("seat-general");
    fs::write(&key, "s3cret\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let seat = Seat::start(&["--engine", "scripted", "--key-file", key.to_str().unwrap()]);
    assert_eq!(seat.get("/health").status, 200);
    for path in ["/v1/models", "/v1/chat/completions", "/nothing"] {
        let refused = seat.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.error_code(), "invalid_api_key");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    for wrong in ["Bearer wrong", "Bearer s3cre", "Bearer s3crett", "Basic s3cret", "s3cret", ""] {
        let headers = [("Authorization", wrong)];
        assert_eq!(seat.send("GET", "/v1/models", &headers, "").answer().status, 401, "{wrong}");
    }
    let headers = [("Authorization", "Bearer s3cret")];
    let models = seat.send("GET", "/v1/models", &headers, "").answer();
    assert_eq!(models.status, 200);
    assert_eq!(models.json()["data"][0]["id"], "general");
    let twice = [("Authorization", "Bearer s3cret"), ("Authorization", "Bearer other")];
    assert_eq!(seat.send("GET", "/v1/models", &twice, "").answer().status, 401);
}

#[test]
fn a_web_page_is_not_answered() {
    let seat = Seat::scripted(&[]);
    for headers in [[("Host", "evil.example")], [("Origin", "http://evil.example")]] {
        for path in ["/health", "/v1/models"] {
            let refused = seat.send("GET", path, &headers, "").answer();
            assert_eq!(refused.status, 403, "{headers:?} {path}");
            assert_eq!(refused.error_code(), "forbidden_caller");
        }
    }
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let seat = Seat::scripted(&[]);
    assert_eq!((seat.get("/v2").status, seat.get("/v2").error_code()), (404, "not_found".into()));
    let wrong = seat.get("/v1/chat/completions");
    assert_eq!((wrong.status, wrong.error_code()), (405, "method_not_allowed".into()));
    let wrong = seat.send("POST", "/health", &[], "").answer();
    assert_eq!((wrong.status, wrong.error_code()), (405, "method_not_allowed".into()));
}

#[test]
fn a_request_that_is_none_is_refused_and_the_seat_stays_up() {
    let seat = Seat::scripted(&[]);
    for body in ["", "{", "[]", r#"{"messages":[]}"#, r#"{"messages":"hi"}"#] {
        let refused = seat.chat(body);
        assert_eq!((refused.status, refused.error_code()), (400, "invalid_value".into()), "{body}");
    }
    let refused = seat.chat(&"x".repeat(9 * 1024 * 1024));
    assert_eq!((refused.status, refused.error_code()), (413, "request_too_large".into()));
    assert_eq!(seat.chat(&question("hi", "")).content(), "hi");
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_both_numbers_even_as_a_stream() {
    let seat = Seat::scripted(&["--context", "64"]);
    for more in ["", r#","stream":true"#] {
        let refused = seat.chat(&question(&"x".repeat(100), more));
        assert_eq!((refused.status, refused.error_code()), (400, "context_length_exceeded".into()));
        let message = refused.json()["error"]["message"].to_string();
        assert!(message.contains("118 tokens") && message.contains("holds 64"), "{message}");
    }
}

#[test]
fn tools_that_the_model_does_not_know_are_dropped_and_that_is_said() {
    let tools = r#","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]"#;
    let answer = Seat::scripted(&[]).chat(&question("hi", tools));
    assert_eq!(answer.content(), "hi");
    assert_eq!(answer.header("x-sanctum-dropped"), Some("tools"));
}

#[test]
fn a_full_queue_is_told_with_a_time_to_try_again() {
    let seat = Seat::scripted(&["--queue", "1"]);
    let slow = question("slowly count to 1000", r#","stream":true"#);
    let mut running = seat.send("POST", "/v1/chat/completions", &[], &slow);
    running.read_until("delta");
    let waiting = seat.send("POST", "/v1/chat/completions", &[], &slow);
    eventually("one request waits", || seat.get("/health").json()["waiting"] == 1);
    let refused = seat.chat(&question("hi", ""));
    assert_eq!((refused.status, refused.error_code()), (429, "queue_full".into()));
    assert_eq!(refused.header("retry-after"), Some("2"));
    drop((running, waiting));
}

#[test]
fn a_caller_that_leaves_frees_the_seat_whether_it_streams_or_not() {
    let seat = Seat::scripted(&[]);
    for more in [r#","stream":true"#, ""] {
        let slow = question("slowly count to 1000", more);
        let left = seat.send("POST", "/v1/chat/completions", &[], &slow);
        eventually("the seat is busy", || seat.get("/health").json()["busy"] == true);
        drop(left);
        let since = Instant::now();
        assert_eq!(seat.chat(&question("hi", "")).content(), "hi");
        assert!(since.elapsed() < Duration::from_secs(2), "{more}: {:?}", since.elapsed());
    }
}

#[test]
fn the_same_body_gives_the_same_text_cold_and_warm() {
    let seat = Seat::scripted(&[]);
    let body = question(&"long ".repeat(200), r#","max_tokens":50"#);
    let cold = seat.chat(&body);
    let warm = seat.chat(&body);
    assert_eq!(cold.content(), warm.content());
    let cached = |answer: &Answer| {
        answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(&cold), 0);
    assert_eq!(cached(&warm), 768);
}

#[test]
fn an_engine_that_fails_costs_one_request() {
    let seat = Seat::scripted(&[]);
    let failed = seat.chat(&question("fail", ""));
    assert_eq!((failed.status, failed.error_code()), (500, "engine_failed".into()));
    let broken = seat.chat(&question("fail", r#","stream":true"#));
    let events = broken.events();
    assert!(events.last().unwrap().contains("engine_failed"), "{events:?}");
    assert!(!broken.body.contains("[DONE]"));
    assert_eq!(seat.chat(&question("hi", "")).content(), "hi");
}

#[test]
fn health_is_told_while_the_engine_hangs_and_shows_its_age() {
    let seat = Seat::scripted(&[]);
    let idle = seat.get("/health").json();
    assert_eq!((&idle["status"], &idle["busy"]), (&json!("ok"), &json!(false)));
    let hung = seat.send("POST", "/v1/chat/completions", &[], &question("hang", ""));
    eventually("the heartbeat grows old", || {
        seat.get("/health").json()["heartbeat_age_ms"].as_u64().unwrap() > 1_000
    });
    assert_eq!(seat.get("/health").json()["busy"], true);
    drop(hung);
}

#[test]
fn a_seat_that_is_told_to_stop_lets_answers_end() {
    let seat = Seat::scripted(&[]);
    let body = question("slowly count to 20", r#","stream":true"#);
    let mut running = seat.send("POST", "/v1/chat/completions", &[], &body);
    running.read_until("delta");
    assert_eq!(seat.stop().code(), Some(0));
    assert!(running.answer_rest().contains("[DONE]"));
}

#[test]
fn a_command_line_that_cannot_be_followed_says_why() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("open-key");
    fs::write(&key, "s3cret\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let key = key.to_str().unwrap();
    for (arguments, code, words) in [
        (&["--engine", "scripted", "--no-key", "--listen", "0.0.0.0:0"][..], 64, "use 127.0.0.1"),
        (&["--engine", "scripted"], 64, "--key-file"),
        (&["--no-key"], 64, "--model"),
        (&["--engine", "scripted", "--no-key", "--temperature", "3"], 64, "from 0 to 2"),
        (&["--engine", "scripted", "--no-key", "--context", "1"], 64, "from 64"),
        (&["--engine", "scripted", "--no-key", "--name", "a b"], 64, "not a name"),
        (&["--nonsense"], 64, "unexpected argument"),
        (&["--engine", "scripted", "--key-file", key], 77, "chmod 600"),
        (&["--engine", "scripted", "--key-file", "/nonexistent/key"], 77, "no secret"),
    ] {
        let (ended, said) = fails(arguments);
        assert_eq!(ended, code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let seat = Seat::scripted(&[]);
    let address = seat.address.to_string();
    let (code, said) = fails(&["--engine", "scripted", "--no-key", "--listen", &address]);
    assert_eq!(code, 69, "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}
