//! What goes wrong, in the shape OpenAI's clients know.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sanctum_daemon::Refusal;
use serde_json::{Value, json};

use super::BODY_BYTES_MAX;
use crate::executor::{Failure, Full};
use crate::request::Invalid;

/// When a caller may try again after the queue was full, in seconds.
const RETRY_AFTER_SECONDS: u16 = 2;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum ApiError {
    /// It does not come from a program on this machine.
    Caller(Refusal),
    /// The key is missing or another.
    Key,
    /// There is nothing under that path.
    NotFound(String),
    /// The path is not for that method.
    Method(String),
    /// The body is too large.
    TooLarge,
    /// The body cannot be read.
    Body(String),
    /// The request is not one.
    Invalid(Invalid),
    /// The template refuses the messages.
    Template(String),
    /// Too many wait, or the seat stops.
    Full(Full),
    /// There is no answer.
    Failed(Failure),
}

/// How an error is sorted and said.
struct Said {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl ApiError {
    /// The body that says it.
    pub(super) fn body(&self) -> Value {
        let Said { kind, code, param, message, .. } = self.said();
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }

    fn said(&self) -> Said {
        let invalid = |status, code, message: String| Said {
            status,
            kind: INVALID,
            code: Some(code),
            param: None,
            message,
        };
        match self {
            Self::Caller(refusal) => {
                invalid(StatusCode::FORBIDDEN, "forbidden_caller", refusal.to_string())
            }
            Self::Key => invalid(
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "this seat wants its key as a bearer token".to_owned(),
            ),
            Self::NotFound(what) => {
                invalid(StatusCode::NOT_FOUND, "not_found", format!("nothing answers `{what}`"))
            }
            Self::Method(what) => invalid(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("`{what}` is not offered: the path is, the method is not"),
            ),
            Self::TooLarge => invalid(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_too_large",
                format!("a request has at most {BODY_BYTES_MAX} bytes"),
            ),
            Self::Body(what) => invalid(StatusCode::BAD_REQUEST, "unreadable_body", what.clone()),
            Self::Invalid(Invalid { message, param }) => Said {
                param: *param,
                ..invalid(StatusCode::BAD_REQUEST, "invalid_value", message.clone())
            },
            Self::Template(message) => Said {
                param: Some("messages"),
                ..invalid(StatusCode::BAD_REQUEST, "invalid_messages", message.clone())
            },
            Self::Full(full) => said_of_full(*full),
            Self::Failed(failure) => said_of_failure(failure),
        }
    }
}

fn said_of_full(full: Full) -> Said {
    match full {
        Full::Waiting(number) => Said {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "rate_limit_error",
            code: Some("queue_full"),
            param: None,
            message: format!("{number} requests wait for this seat already"),
        },
        Full::Closed => Said {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: SERVER,
            code: Some("stopping"),
            param: None,
            message: "this seat is being stopped".to_owned(),
        },
    }
}

fn said_of_failure(failure: &Failure) -> Said {
    let message = failure.to_string();
    match failure {
        Failure::TooLong { .. } => Said {
            status: StatusCode::BAD_REQUEST,
            kind: INVALID,
            code: Some("context_length_exceeded"),
            param: Some("messages"),
            message,
        },
        Failure::Engine(_) => Said {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: SERVER,
            code: Some("engine_failed"),
            param: None,
            message,
        },
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.said().status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Key => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Full(_) => drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into())),
            Self::Caller(_)
            | Self::NotFound(_)
            | Self::Method(_)
            | Self::TooLarge
            | Self::Body(_)
            | Self::Invalid(_)
            | Self::Template(_)
            | Self::Failed(_) => {}
        }
        response
    }
}
