//! One turn with the agent: its OpenAI-shaped endpoint, read as a stream.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sanctum_dialect::{ApiError, ChatEvent, ChatStream, FinishReason};
use sanctum_secrets::Secret;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Asked;
use super::clock::with_time;
use crate::failure::Failure;

/// The longest wait between two pieces of an answer.
const IDLE_MAX: Duration = Duration::from_mins(3);
/// The largest error body that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// Under emulation the agent drops connections while it starts; this many are tried.
const CONNECTS_MAX: u32 = 3;

/// A turn under way.
pub(super) struct Turn {
    body: Incoming,
    /// When the patience for the first piece is over; nothing once that has come.
    first_until: Option<Instant>,
    patience: Duration,
    stream: ChatStream,
    waiting: VecDeque<String>,
}

impl Turn {
    /// Asks. Returns when the agent has begun to answer.
    pub(super) async fn begin(
        port: u16,
        token: &Secret<String>,
        asked: &Asked,
    ) -> Result<Self, Failure> {
        let until = Instant::now() + asked.patience;
        let response = timeout(asked.patience, send(port, token, asked)).await;
        let response = response.map_err(|_| too_slow(asked.patience))??;
        if response.status() == StatusCode::OK {
            let body = response.into_body();
            return Ok(Self {
                body,
                first_until: Some(until),
                patience: asked.patience,
                stream: ChatStream::new(),
                waiting: VecDeque::new(),
            });
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await;
        let said = body.ok().and_then(|body| ApiError::parse(&body.to_bytes()));
        let said = said.map_or_else(String::new, |error| format!(": {error}"));
        Err(Failure::new(format!("the agent refused with status {}{said}", status.as_u16())))
    }

    /// The next piece of the answer; nothing when it is whole or cut, as [`Turn::finish`] tells.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Ok(Some(piece));
            }
            if self.stream.is_done() {
                return Ok(None);
            }
            let limit =
                self.first_until.map_or(IDLE_MAX, |until| until.duration_since(Instant::now()));
            let Ok(frame) = timeout(limit, self.body.frame()).await else {
                if self.first_until.is_some() {
                    return Err(too_slow(self.patience));
                }
                return Err(Failure::new(format!(
                    "the answer stopped coming for {} s",
                    IDLE_MAX.as_secs()
                )));
            };
            let data = match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(Failure::new(format!(
                        "the connection to the agent broke: {error}"
                    )));
                }
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            for event in self.stream.feed(&data).map_err(|error| Failure::from_error(&error))? {
                match event {
                    ChatEvent::Content(piece) => {
                        self.first_until = None;
                        self.waiting.push_back(piece);
                    }
                    ChatEvent::Error(error) => {
                        return Err(Failure::new(format!("the agent reports: {error}")));
                    }
                    ChatEvent::Role(_)
                    | ChatEvent::Reasoning(_)
                    | ChatEvent::ToolCall
                    | ChatEvent::Finish(_)
                    | ChatEvent::Usage(_)
                    | ChatEvent::Done => {}
                }
            }
        }
    }

    /// Why the answer ended. A cut one is a failure.
    pub(super) fn finish(self) -> Result<String, Failure> {
        let completion = self.stream.finish().map_err(|cut| Failure::from_error(&cut))?;
        Ok(match completion.finish {
            FinishReason::Stop => "stop".to_owned(),
            FinishReason::Length => "length".to_owned(),
            FinishReason::ToolCalls => "tool_calls".to_owned(),
            FinishReason::ContentFilter => "content_filter".to_owned(),
            FinishReason::Other(word) => word,
        })
    }
}

fn too_slow(patience: Duration) -> Failure {
    Failure::new(format!("the agent did not begin to answer within {} s", patience.as_secs()))
        .hint("`--patience SECONDS` waits longer")
}

async fn send(
    port: u16,
    token: &Secret<String>,
    asked: &Asked,
) -> Result<Response<Incoming>, Failure> {
    let mut attempt = 1;
    loop {
        match try_send(port, token, asked).await {
            Ok(response) => return Ok(response),
            Err(error) if attempt < CONNECTS_MAX && error.is_reset() => {
                sleep(Duration::from_secs(2)).await;
            }
            Err(error) => return Err(error.into_failure(port)),
        }
        attempt += 1;
    }
}

/// Why nothing was heard of the agent.
enum SendError {
    Connect(io::Error),
    Exchange(hyper::Error),
}

impl SendError {
    fn is_reset(&self) -> bool {
        match self {
            Self::Connect(_) => false,
            // Nothing of an answer came, so the question can be asked again.
            Self::Exchange(error) => error.is_incomplete_message() || error.is_closed(),
        }
    }

    fn into_failure(self, port: u16) -> Failure {
        match self {
            Self::Connect(error) => {
                Failure::new(format!("nothing answers at 127.0.0.1:{port}: {error}"))
            }
            Self::Exchange(error) => {
                Failure::new(format!("the agent hung up before it answered: {error}"))
            }
        }
    }
}

async fn try_send(
    port: u16,
    token: &Secret<String>,
    asked: &Asked,
) -> Result<Response<Incoming>, SendError> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(SendError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(SendError::Exchange)?;
    #[expect(clippy::disallowed_methods, reason = "ends with the one connection it drives")]
    drop(tokio::spawn(connection));
    let model = asked
        .agent
        .as_ref()
        .map_or_else(|| "openclaw".to_owned(), |agent| format!("openclaw/{agent}"));
    let body = json!({
        "model": model,
        "stream": true,
        "messages": [{ "role": "user", "content": with_time(&asked.question, SystemTime::now()) }],
    });
    let request = Request::post("/v1/chat/completions")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", token.expose()))
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request of fixed parts and a token of one line is well formed");
    sender.send_request(request).await.map_err(SendError::Exchange)
}
