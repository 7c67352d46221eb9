//! `probe`: one look for castellan, told by the exit code.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sanctum_plan::stack::CALLER_SECRET;
use sanctum_secrets::Secret;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Outcome, block_on};
use crate::arguments::Probe;
use crate::failure::{CONFIGURATION, Failure};
use crate::output::Output;
use crate::place::Place;

/// The time an answer may take; castellan's own limit is mostly shorter.
const ANSWER_MAX: Duration = Duration::from_mins(10);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What is shown of an answer that is an error.
const SHOWN_CHARS_MAX: usize = 200;

pub(crate) fn run(place: &Place, output: &Output, probe: &Probe) -> Outcome {
    match probe {
        Probe::Model { route } => model(place, output, route),
    }
}

/// One token of a route, asked for as any caller does.
fn model(place: &Place, output: &Output, route: &str) -> Outcome {
    let loaded = place.load(output)?;
    let name = CALLER_SECRET.parse().map_err(|error| Failure::from_error(&error))?;
    let key = place
        .secrets()
        .read(&name)
        .map_err(|error| Failure::from_error(&error).with_code(CONFIGURATION))?;
    let port = loaded.manifest.proxyd().port;
    let answer = block_on(async {
        timeout(ANSWER_MAX, ask(port, &key, route)).await.unwrap_or_else(|_| {
            Err(Failure::new(format!("`{route}` does not answer within {ANSWER_MAX:?}")))
        })
    })?;
    if says_something(&answer) {
        output.data(format!("`{route}` answers"));
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::new(format!("`{route}` answers nothing")))
    }
}

async fn ask(port: u16, key: &Secret<String>, route: &str) -> Result<Bytes, Failure> {
    let broken = |error: hyper::Error| Failure::new(format!("proxyd hung up: {error}"));
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| {
        Failure::new(format!("proxyd does not answer at 127.0.0.1:{port}: {error}"))
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    #[expect(clippy::disallowed_methods, reason = "ends with the one connection it drives")]
    drop(tokio::spawn(connection));
    let body = json!({
        "model": route,
        "max_tokens": 1,
        "messages": [{ "role": "user", "content": "Say one word." }],
    });
    let request = Request::post("/v1/chat/completions")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", key.expose()))
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| Failure::from_error(&error))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body =
        body.map_err(|error| Failure::new(format!("the answer is cut: {error}")))?.to_bytes();
    if status == StatusCode::OK {
        return Ok(body);
    }
    let said: String = String::from_utf8_lossy(&body).chars().take(SHOWN_CHARS_MAX).collect();
    Err(Failure::new(format!("proxyd answers with status {}: {}", status.as_u16(), said.trim())))
}

/// Whether there is a token in it: of the answer itself, or of the thought before it.
fn says_something(answer: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        content: Option<String>,
        reasoning_content: Option<String>,
        reasoning: Option<String>,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return false };
    answer.choices.into_iter().any(|Choice { message }| {
        let said = [message.content, message.reasoning_content, message.reasoning];
        said.into_iter().flatten().any(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_is_an_answer_and_none_is_not() {
        let answer = |message: &str| format!("{{\"choices\":[{{\"message\":{message}}}]}}");
        assert!(says_something(answer(r#"{"role":"assistant","content":"Yes"}"#).as_bytes()));
        assert!(says_something(answer(r#"{"content":null,"reasoning_content":"So"}"#).as_bytes()));
        for none in [r#"{"content":""}"#, r#"{"content":null}"#, "{}"] {
            assert!(!says_something(answer(none).as_bytes()), "{none}");
        }
        for none in ["", "{\"choices\":[]}", "{\"error\":{\"message\":\"no\"}}"] {
            assert!(!says_something(none.as_bytes()), "{none}");
        }
    }
}
