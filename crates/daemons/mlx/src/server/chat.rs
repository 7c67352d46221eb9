//! `POST /v1/chat/completions`: from the body to the last frame.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Zoned;
use tokio::sync::mpsc;

use super::error::ApiError;
use super::wire::{self, Head};
use super::{Seat, seconds_since_epoch};
use crate::executor::{Event, Failure, Job};
use crate::request::{ChatRequest, Defaults, Delivery};

/// The longest answer when a request does not limit it, in tokens. A model that never ends would
/// otherwise hold the seat until the context is full.
const ANSWER_TOKENS_DEFAULT: usize = 4096;
/// Events beside the tokens of an answer: `Began`, the held rest, `Ended`, and one to spare.
const EVENTS_EXTRA: usize = 4;
/// The longest silence in a stream, while a long prompt is read.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Names the fields of the request that were not followed.
const DROPPED: HeaderName = HeaderName::from_static("x-sanctum-dropped");
/// Names the model that answers, whatever name was asked for.
const MODEL: HeaderName = HeaderName::from_static("x-sanctum-model");

/// Answers a chat completion request.
///
/// Cancel safe: when the caller is gone the future is dropped, and with it the way back, which
/// the executor sees before its next step.
pub(super) async fn complete(
    State(seat): State<Arc<Seat>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            ApiError::TooLarge
        } else {
            ApiError::Body(rejection.body_text())
        }
    })?;
    let (id, seed) = seat.next_request();
    let defaults =
        Defaults { temperature: seat.temperature, frequency_penalty: seat.frequency_penalty, seed };
    let mut request = ChatRequest::parse(&body, defaults).map_err(ApiError::Invalid)?;
    if request.tools.is_some() && !seat.template.knows_tools() {
        request.tools = None;
        request.dropped.insert(0, "tools");
    }
    let prompt = seat
        .template
        .render(&request.messages, request.tools.as_ref(), &Zoned::now())
        .map_err(|error| ApiError::Template(error.to_string()))?;
    let headers = headers(&seat, &request);
    let delivery = request.delivery;
    let head = Head {
        id: format!("chatcmpl-{id}"),
        created: seconds_since_epoch(),
        model: seat.name.clone(),
    };

    let answer_tokens_max = request.answer_tokens_max.unwrap_or(ANSWER_TOKENS_DEFAULT);
    let answer_tokens_max = answer_tokens_max.min(seat.about.context_tokens);
    let (events, mut receiver) = mpsc::channel(answer_tokens_max + EVENTS_EXTRA);
    let ChatRequest { sampling, stops, .. } = request;
    let job = Job { id, prompt, sampling, stops, answer_tokens_max, events };
    seat.queue.push(job).map_err(ApiError::Full)?;

    // A refusal comes before the first byte, so that it can have a status of its own.
    match receiver.recv().await {
        Some(Event::Failed(failure)) => return Err(ApiError::Failed(failure)),
        Some(Event::Began | Event::Text(_) | Event::Ended(_)) => {}
        None => return Err(ApiError::Failed(cut_short())),
    }
    match delivery {
        Delivery::Whole => whole(&head, headers, receiver).await,
        Delivery::Stream { usage } => {
            let flow = Flow { head, receiver, usage, stage: Stage::Role };
            let frames = stream::unfold(flow, Flow::next);
            Ok((headers, Body::from_stream(frames)).into_response())
        }
    }
}

fn headers(seat: &Seat, request: &ChatRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut say = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            drop(headers.insert(name, value));
        }
    };
    if !request.dropped.is_empty() {
        say(DROPPED, request.dropped.join(", "));
    }
    say(MODEL, seat.name.clone());
    match request.delivery {
        Delivery::Whole => {}
        Delivery::Stream { .. } => {
            say(CONTENT_TYPE, "text/event-stream".to_owned());
            say(CACHE_CONTROL, "no-cache".to_owned());
        }
    }
    headers
}

async fn whole(
    head: &Head,
    headers: HeaderMap,
    mut receiver: mpsc::Receiver<Event>,
) -> Result<Response, ApiError> {
    let mut content = String::new();
    loop {
        match receiver.recv().await {
            Some(Event::Began) => {}
            Some(Event::Text(text)) => content.push_str(&text),
            Some(Event::Ended(ending)) => {
                let completion = head.completion(&content, &ending);
                return Ok((headers, Json(completion)).into_response());
            }
            Some(Event::Failed(failure)) => return Err(ApiError::Failed(failure)),
            None => return Err(ApiError::Failed(cut_short())),
        }
    }
}

/// A stream on its way.
struct Flow {
    head: Head,
    receiver: mpsc::Receiver<Event>,
    usage: bool,
    stage: Stage,
}

enum Stage {
    Role,
    Text,
    Over,
}

impl Flow {
    /// The next frame. A stream that breaks ends with an error and without `[DONE]`, so that
    /// nobody takes what came for the whole.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let frame = match self.stage {
            Stage::Over => return None,
            Stage::Role => {
                self.stage = Stage::Text;
                self.head.role_frame()
            }
            Stage::Text => match tokio::time::timeout(SILENCE_MAX, self.receiver.recv()).await {
                Ok(event) => self.on_event(event),
                Err(_) => wire::STILL_HERE,
            },
        };
        Some((Ok(frame), self))
    }

    fn on_event(&mut self, event: Option<Event>) -> Bytes {
        match event {
            Some(Event::Began) => wire::STILL_HERE,
            Some(Event::Text(text)) => self.head.text_frame(&text),
            Some(Event::Ended(ending)) => {
                self.stage = Stage::Over;
                let mut last = self.head.finish_frame(&ending).to_vec();
                if self.usage {
                    last.extend_from_slice(&self.head.usage_frame(&ending));
                }
                last.extend_from_slice(&wire::DONE);
                Bytes::from(last)
            }
            Some(Event::Failed(failure)) => self.break_off(failure),
            None => self.break_off(cut_short()),
        }
    }

    fn break_off(&mut self, failure: Failure) -> Bytes {
        self.stage = Stage::Over;
        wire::frame(&ApiError::Failed(failure).body())
    }
}

fn cut_short() -> Failure {
    Failure::Engine("the seat stopped before the answer was whole".to_owned())
}
