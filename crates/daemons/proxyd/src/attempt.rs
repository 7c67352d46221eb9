//! Asks seats in turn until one answers.
//!
//! An attempt is won by the first byte of an answer. Until then nothing has been passed on, and
//! another seat can be asked; the request itself never changes, each attempt gets its own copy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use sanctum_dialect::ChatHead;
use sanctum_model::ErrorChain;

use crate::headers;
use crate::record::Record;
use crate::reply::Refusal;
use crate::seats::Seat;

/// What was asked, as the caller sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a ChatHead,
    pub(crate) body: &'a Bytes,
    pub(crate) headers: &'a HeaderMap,
}

/// The beginning of an answer, and where the rest comes from.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) seat: Arc<Seat>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The first bytes of the body, where they were waited for.
    pub(crate) first: Option<Bytes>,
    pub(crate) rest: Incoming,
}

/// Why an attempt was lost.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot be reached")]
    Unreachable(#[source] legacy::Error),
    #[error("closed the connection without an answer")]
    Closed(#[source] legacy::Error),
    #[error("sent no first byte within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("broke off before the first byte of its answer")]
    Broken(#[source] hyper::Error),
    #[error("sent an answer without content")]
    Empty,
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("does not accept proxyd's key")]
    Key,
}

/// Asks each seat in turn.
///
/// The last seat's answer is passed on even if it is an error. Cancel safe: nothing is left
/// running.
pub(crate) async fn first_to_answer(
    serving: &[(Arc<Seat>, Arc<str>)],
    asked: &Asked<'_>,
    record: &mut Record,
) -> Result<Answer, Refusal> {
    let mut failures = Vec::new();
    for (index, (seat, model)) in serving.iter().enumerate() {
        record.attempts += 1;
        record.seat = Some(Arc::clone(&seat.name));
        let last = index + 1 == serving.len();
        let failure = match attempt(seat, model, asked, record).await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => Failure::Key,
            Ok(answer) if !last && is_seats_fault(answer.status) => Failure::Status(answer.status),
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let error = ErrorChain(&failure);
        tracing::warn!(id = record.id, seat = %seat.name, %error, last, "seat did not answer");
        failures.push((Arc::clone(&seat.name), failure));
    }
    record.seat = None;
    Err(no_seat(asked.head.model(), &failures))
}

/// Whether another seat may do better.
fn is_seats_fault(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

async fn attempt(
    seat: &Arc<Seat>,
    model: &str,
    asked: &Asked<'_>,
    record: &mut Record,
) -> Result<Answer, Failure> {
    let body = if model == asked.head.model() {
        asked.body.clone()
    } else {
        asked.head.with_model(asked.body, model).into()
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = seat.chat_url.clone();
    *request.headers_mut() = headers::for_seat(asked.headers, seat);
    let answering = async {
        let response = seat.client.request(request).await.map_err(|error| {
            if error.is_connect() { Failure::Unreachable(error) } else { Failure::Closed(error) }
        })?;
        record.mark_headers();
        let (parts, mut rest) = response.into_parts();
        let mut first = None;
        if parts.status.is_success() {
            first = Some(first_bytes(&mut rest).await?);
            record.mark_bytes();
        }
        let seat = Arc::clone(seat);
        Ok(Answer { seat, status: parts.status, headers: parts.headers, first, rest })
    };
    let limit = seat.patience.first_byte;
    tokio::time::timeout(limit, answering).await.unwrap_or(Err(Failure::Silent(limit)))
}

async fn first_bytes(body: &mut Incoming) -> Result<Bytes, Failure> {
    loop {
        let frame = body.frame().await.ok_or(Failure::Empty)?.map_err(Failure::Broken)?;
        if let Ok(bytes) = frame.into_data()
            && !bytes.is_empty()
        {
            return Ok(bytes);
        }
    }
}

/// Tells the caller what each seat did. Addresses and causes are for the log alone.
fn no_seat(model: &str, failures: &[(Arc<str>, Failure)]) -> Refusal {
    let told: Vec<_> =
        failures.iter().map(|(seat, failure)| format!("`{seat}` {failure}")).collect();
    let message = format!("no seat answered for `{model}`: {}", told.join("; "));
    let silent = matches!(failures.last(), Some((_, Failure::Silent(_))));
    let (status, code) = if silent {
        (StatusCode::GATEWAY_TIMEOUT, "seat_timeout")
    } else {
        (StatusCode::BAD_GATEWAY, "no_seat_answered")
    };
    Refusal::no_seat(status, code, message)
}
