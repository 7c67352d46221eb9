//! Answers of proxyd's own, in the OpenAI dialect.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use sanctum_dialect::ApiError;

use crate::record::{Outcome, Record};

/// The header that says which seat answered.
pub(crate) const X_SANCTUM_SEAT: HeaderName = HeaderName::from_static("x-sanctum-seat");
/// The header that says which line of the log tells about the request.
pub(crate) const X_SANCTUM_REQUEST_ID: HeaderName = HeaderName::from_static("x-sanctum-request-id");

/// The end of an answer that was cut: the connection is closed in its middle, on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub(crate) struct Aborted;

pub(crate) type Body = UnsyncBoxBody<Bytes, Aborted>;

/// An answer of proxyd's own.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: ApiError,
    outcome: Outcome,
}

impl Refusal {
    /// The caller's mistake.
    pub(crate) fn request(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let error = ApiError::new("invalid_request_error", code, message);
        Self { status, error, outcome: Outcome::Refused }
    }

    /// No seat could answer.
    pub(crate) fn no_seat(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let error = ApiError::new("api_error", code, message);
        Self { status, error, outcome: Outcome::NoSeat }
    }

    /// The answer that says so; the record is closed with it.
    pub(crate) fn answer(self, mut record: Record) -> Response<Body> {
        record.outcome = self.outcome;
        let mut response = json(self.status, self.error.to_body(), &mut record);
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: Vec<u8>, record: &mut Record) -> Response<Body> {
    record.status = Some(status);
    record.bytes_out = body.len() as u64;
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
