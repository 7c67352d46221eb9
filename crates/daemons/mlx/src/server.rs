//! The HTTP side: the OpenAI interface of one seat.
//!
//! Everything but `/health` wants the key; nothing answers a web page.

mod chat;
mod error;
mod wire;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sanctum_daemon::check_loopback_caller;
use serde_json::json;

use crate::config::{Access, Config};
use crate::engine::About;
use crate::executor::{Health, Pulse, Queue};
use crate::template::ChatTemplate;
use error::ApiError;

/// The largest request that is read, in bytes. A context of a million tokens fits.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Seat {
    name: String,
    port: u16,
    access: Access,
    temperature: f32,
    frequency_penalty: f32,
    about: About,
    template: ChatTemplate,
    queue: Arc<Queue>,
    pulse: Arc<Pulse>,
    /// Told apart from other runs by this, requests by their number.
    run: u64,
    requests: AtomicU64,
    created: u64,
}

impl Seat {
    pub(crate) fn new(
        config: Config,
        port: u16,
        about: About,
        template: ChatTemplate,
        queue: Arc<Queue>,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            name: config.name,
            port,
            access: config.access,
            temperature: config.temperature,
            frequency_penalty: config.frequency_penalty,
            about,
            template,
            queue,
            pulse,
            // The standard library's only source of randomness: its hash keys.
            run: RandomState::new().hash_one(std::process::id()),
            requests: AtomicU64::new(0),
            created: seconds_since_epoch(),
        }
    }

    /// A number for a request that no other has, in this run or another.
    fn next_request(&self) -> (String, u64) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        (format!("{:08x}{number:06x}", self.run >> 32), self.run.wrapping_add(number))
    }
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// All that the seat answers.
pub(crate) fn router(seat: Arc<Seat>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/models", get(models))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&seat), check_key))
        .route("/health", get(health).fallback(wrong_method))
        .layer(middleware::from_fn_with_state(Arc::clone(&seat), check_caller))
        .with_state(seat)
}

async fn check_caller(
    State(seat): State<Arc<Seat>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    check_loopback_caller(request.headers(), seat.port).map_err(ApiError::Caller)?;
    Ok(next.run(request).await)
}

async fn check_key(
    State(seat): State<Arc<Seat>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match &seat.access {
        Access::Open => {}
        Access::Key(key) => match bearer(request.headers()) {
            Some(shown) if key.matches(shown) => {}
            Some(_) | None => return Err(ApiError::Key),
        },
    }
    Ok(next.run(request).await)
}

/// The bearer token of a request that carries exactly one authorization.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let one = given.next().filter(|_| given.next().is_none())?.as_bytes();
    let (scheme, token) = one.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

async fn models(State(seat): State<Arc<Seat>>) -> Response {
    Json(json!({
        "object": "list",
        "data": [{
            "id": seat.name,
            "object": "model",
            "created": seat.created,
            "owned_by": "sanctum",
            "context_length": seat.about.context_tokens,
        }],
    }))
    .into_response()
}

/// Reads the executor's pulse; the executor itself is not asked, so that a probe never waits
/// behind work.
async fn health(State(seat): State<Arc<Seat>>) -> Response {
    let (code, status) = match seat.pulse.health() {
        Health::Idle | Health::Busy => (StatusCode::OK, "ok"),
        Health::Stalled => (StatusCode::SERVICE_UNAVAILABLE, "stalled"),
    };
    let body = json!({
        "status": status,
        "model": seat.name,
        "busy": seat.pulse.health() != Health::Idle,
        "waiting": seat.queue.waiting(),
        "heartbeat_age_ms": u64::try_from(seat.pulse.age().as_millis()).unwrap_or(u64::MAX),
    });
    (code, Json(body)).into_response()
}

async fn nothing_here(method: Method, uri: Uri) -> ApiError {
    ApiError::NotFound(format!("{method} {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::Method(format!("{method} {}", uri.path()))
}
