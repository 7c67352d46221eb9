//! `POST /v1/chat/completions`: reads the request once, finds who serves the model, and passes the
//! answer on.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use sanctum_dialect::{ChatHead, HeadError};
use sanctum_model::ErrorChain;

use crate::attempt::{self, Answer, Asked};
use crate::headers::content_length;
use crate::record::Record;
use crate::relay;
use crate::reply::{Body, Refusal};
use crate::seats::Seats;

/// The largest request, in bytes.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The time a caller has to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Answers one request.
pub(crate) async fn answer(
    seats: &Seats,
    request: Request<Incoming>,
    mut record: Record,
) -> Response<Body> {
    match ask(seats, request, &mut record).await {
        Ok(answer) => relay::pass_on(answer, record),
        Err(refusal) => refusal.answer(record),
    }
}

async fn ask(
    seats: &Seats,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<Answer, Refusal> {
    if request.version() < Version::HTTP_11 {
        let message = "HTTP/1.1 is needed: in an older one a cut answer looks like a whole one";
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Err(Refusal::request(status, "http_version", message));
    }
    let (parts, body) = request.into_parts();
    if content_length(&parts.headers).is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let body = read(body).await?;
    record.bytes_in = body.len() as u64;
    let head = ChatHead::parse(&body).map_err(|error| no_request(&error))?;
    record.model = Some(head.model().to_owned());
    record.streaming = head.is_streaming();
    let serving = seats.serving(head.model());
    if serving.is_empty() {
        return Err(unknown_model(head.model(), seats));
    }
    let asked = Asked { head: &head, body: &body, headers: &parts.headers };
    attempt::first_to_answer(&serving, &asked, record).await
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let message = format!("the body cannot be read: {}", ErrorChain(&*error));
            Err(Refusal::request(StatusCode::BAD_REQUEST, "body_unreadable", message))
        }
        Err(_) => {
            let seconds = BODY_TIMEOUT.as_secs();
            let message = format!("the body did not come within {seconds} s");
            Err(Refusal::request(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        }
    }
}

fn too_large() -> Refusal {
    let message = format!("the body is larger than {} MiB", BODY_BYTES_MAX / (1024 * 1024));
    Refusal::request(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn no_request(error: &HeadError) -> Refusal {
    let message = match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let mut refusal = Refusal::request(StatusCode::BAD_REQUEST, "invalid_body", message);
    refusal.error = refusal.error.about(error.parameter());
    refusal
}

fn unknown_model(model: &str, seats: &Seats) -> Refusal {
    let known: Vec<_> = seats.models().into_iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = format!("no seat serves `{model}`; there are {}", known.join(", "));
    let mut refusal = Refusal::request(StatusCode::NOT_FOUND, "model_not_found", message);
    refusal.error = refusal.error.about(Some("model"));
    refusal
}
