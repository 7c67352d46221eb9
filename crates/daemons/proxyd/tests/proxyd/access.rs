//! Who comes in, and what is refused before a seat hears of it.

use std::io::Write as _;

use crate::support::*;

fn untouched() -> Upstream {
    Upstream::start(|_| json("200 OK", "{}"))
}

#[test]
fn no_key_no_answer() {
    let upstream = untouched();
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    for authorization in [
        String::new(),
        "authorization: Bearer wrong\r\n".to_owned(),
        format!("authorization: Bearer {KEY}x\r\n"),
        format!("authorization: Basic {KEY}\r\n"),
        format!("authorization: {KEY}\r\n"),
        format!("x-api-key: {KEY}\r\n"),
        format!("authorization: Bearer {KEY}\r\nauthorization: Bearer {KEY}\r\n"),
    ] {
        for (method, path) in
            [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/x")]
        {
            let reply = proxyd.exchange(&proxyd.request(method, path, &authorization, ASK));
            assert_eq!(reply.status, 401, "{authorization} {path}");
            assert_eq!(reply.code().as_deref(), Some("invalid_api_key"));
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert!(upstream.seen().is_empty());
    assert!(!proxyd.log().contains(KEY));
}

#[test]
fn each_callers_key_opens_and_is_named_in_the_log() {
    let upstream = untouched();
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let headers = "authorization: bearer another-key\r\n";
    let reply = proxyd.exchange(&proxyd.request("POST", "/v1/chat/completions", headers, ASK));
    assert_eq!(reply.status, 200);
    assert!(proxyd.request_line().contains("caller=\"other\""), "{}", proxyd.log());
}

#[test]
fn a_web_page_cannot_ask_even_with_a_key() {
    let upstream = untouched();
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let chat = String::from_utf8(proxyd.chat(ASK)).unwrap();
    let own = format!("host: 127.0.0.1:{}", proxyd.port);
    for request in [
        chat.replace(&own, &format!("{own}\r\norigin: http://evil.example")),
        chat.replace(&own, &format!("host: evil.example:{}", proxyd.port)),
        chat.replace(&own, "host: 127.0.0.1:1"),
    ] {
        let reply = proxyd.exchange(request.as_bytes());
        assert_eq!((reply.status, reply.code().as_deref()), (403, Some("not_a_local_program")));
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_port_on_the_other_side_of_a_forward_can_be_allowed() {
    let upstream = untouched();
    let proxyd = Proxyd::start_in(home(&format!(
        "listen = \"127.0.0.1:0\"\nhost_ports = [4040, 4041]\n[[caller]]\nname = \"guest\"\nsecret = \"caller\"\n{}",
        seat("general", upstream.port)
    )));
    let chat = String::from_utf8(proxyd.chat(ASK)).unwrap();
    let own = format!("127.0.0.1:{}", proxyd.port);
    assert_eq!(proxyd.exchange(chat.replace(&own, "127.0.0.1:4041").as_bytes()).status, 200);
    assert_eq!(proxyd.exchange(chat.as_bytes()).status, 403);
}

#[test]
fn health_needs_no_key_and_is_not_logged() {
    let proxyd = Proxyd::start(&seat("general", 1));
    let reply = proxyd.exchange(&proxyd.request("GET", "/health", "", ""));
    assert_eq!(reply.status, 200);
    for part in
        ["\"status\":\"ok\"", "\"seats\":[\"general\"]", "\"version\":", "\"heartbeat_age_ms\":"]
    {
        assert!(reply.body.contains(part), "{}", reply.body);
    }
    assert!(!proxyd.log().contains(" request "), "{}", proxyd.log());
}

#[test]
fn models_are_listed_once_in_the_dialect() {
    let proxyd = Proxyd::start(&(seat("general", 1) + &seat("spare", 1)));
    let headers = format!("authorization: Bearer {KEY}\r\n");
    let reply = proxyd.exchange(&proxyd.request("GET", "/v1/models", &headers, ""));
    let expected = r#"{"data":[{"created":0,"id":"council-brain","object":"model","owned_by":"general"}],"object":"list"}"#;
    assert_eq!((reply.status, reply.body.as_str()), (200, expected));
}

#[test]
fn every_refusal_has_its_code_and_reaches_no_seat() {
    let upstream = untouched();
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let key = format!("authorization: Bearer {KEY}\r\n");
    let chat = "/v1/chat/completions";
    for (method, path, body, status, code) in [
        ("POST", "/v1/embeddings", "{}", 404, "unknown_url"),
        ("GET", "/", "", 404, "unknown_url"),
        ("POST", "/v1/chat/completions/", ASK, 404, "unknown_url"),
        ("GET", chat, "", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", "", 405, "method_not_allowed"),
        ("POST", chat, "", 400, "invalid_body"),
        ("POST", chat, "[1]", 400, "invalid_body"),
        ("POST", chat, "{\"messages\":[]}", 400, "invalid_body"),
        ("POST", chat, "{\"model\":\"a\",\"model\":\"b\"}", 400, "invalid_body"),
        ("POST", chat, "{\"model\":\"../../etc/passwd\"}", 404, "model_not_found"),
        ("POST", chat, "{\"model\":\"gpt-9\"}", 404, "model_not_found"),
    ] {
        let reply = proxyd.exchange(&proxyd.request(method, path, &key, body));
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (status, Some(code)),
            "{method} {path} {body}"
        );
        assert!(reply.header("x-sanctum-request-id").is_some());
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let reply = proxyd.exchange(&proxyd.chat("{\"model\":\"gpt-9\"}"));
    assert!(reply.body.contains("there are `council-brain`"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
    proxyd.wait_for_log("outcome=\"refused\"");
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_declared_length_and_by_its_bytes() {
    let upstream = untouched();
    let proxyd = Proxyd::start(&seat("general", upstream.port));
    let head = |framing: &str| {
        let port = proxyd.port;
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {KEY}\r\n{framing}\r\n\r\n"
        )
    };
    let reply = proxyd.exchange(head("content-length: 33554433").as_bytes());
    assert_eq!((reply.status, reply.code().as_deref()), (413, Some("body_too_large")));

    let mut stream = proxyd.send(head("transfer-encoding: chunked").as_bytes());
    let piece = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    // The last of these is refused before it is read, so it may not be written whole.
    let written = (0..33).try_for_each(|_| stream.write_all(&piece));
    assert!(written.is_ok() || upstream.seen().is_empty());
    let mut answer = Vec::new();
    drop(std::io::Read::read_to_end(&mut stream, &mut answer));
    assert!(proxyd.wait_for_log("status=413").contains("outcome=\"refused\""));
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_http_version_that_cannot_tell_a_cut_is_refused() {
    let proxyd = Proxyd::start(&seat("general", 1));
    let chat = String::from_utf8(proxyd.chat(ASK)).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let reply = proxyd.exchange(chat.as_bytes());
    assert_eq!((reply.status, reply.code().as_deref()), (505, Some("http_version")));
}
