//! The door: who may come in, and which way a request goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use sanctum_daemon::check_loopback_caller;
use serde_json::json;

use crate::callers::Callers;
use crate::chat;
use crate::config::Config;
use crate::heartbeat::{self, Heartbeat};
use crate::record::{Outcome, Record};
use crate::reply::{self, Body, Refusal, X_SANCTUM_REQUEST_ID};
use crate::seats::Seats;
use crate::setup::Setup;

/// Everything that requests share. Nothing in it changes but the heartbeat and the count.
#[derive(Debug)]
pub(crate) struct Gateway {
    host_ports: Vec<u16>,
    callers: Callers,
    pub(crate) seats: Seats,
    pub(crate) heartbeat: Heartbeat,
    ids: RequestIds,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Health,
    Models,
    Chat,
    /// The path is known, and wants this method.
    Method(&'static str),
    Unknown,
}

impl Route {
    fn of(method: &Method, path: &str) -> Self {
        let (route, wanted) = match path {
            "/health" => (Self::Health, Method::GET),
            "/v1/models" => (Self::Models, Method::GET),
            "/v1/chat/completions" => (Self::Chat, Method::POST),
            _ => return Self::Unknown,
        };
        if *method == wanted {
            route
        } else if wanted == Method::GET {
            Self::Method("GET")
        } else {
            Self::Method("POST")
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Models => "models",
            Self::Chat => "chat",
            Self::Method(_) => "wrong_method",
            Self::Unknown => "unknown",
        }
    }
}

impl Gateway {
    /// `port` is the one that is listened on.
    pub(crate) fn new(config: &Config, setup: Setup, port: u16) -> Self {
        let mut host_ports = config.host_ports.clone();
        if host_ports.is_empty() {
            host_ports.push(port);
        }
        Self {
            host_ports,
            callers: setup.callers,
            seats: setup.seats,
            heartbeat: Heartbeat::new(),
            ids: RequestIds::new(),
        }
    }

    /// Answers one request. Dropping the future drops everything that is done for it.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let route = Route::of(request.method(), request.uri().path());
        let mut record = Record::new(self.ids.next(), route.as_str());
        let id = HeaderValue::try_from(&record.id).expect("digits and a dash make a header");
        let mut response = match self.admit(route, request.headers(), &mut record) {
            Ok(()) => self.route(route, request, record).await,
            Err(refusal) => refusal.answer(record),
        };
        response.headers_mut().insert(X_SANCTUM_REQUEST_ID, id);
        response
    }

    /// Lets programs of this machine in that bear a key; to ask for health takes none.
    fn admit(&self, route: Route, headers: &HeaderMap, record: &mut Record) -> Result<(), Refusal> {
        let mut refused = None;
        let ours = self.host_ports.iter().any(|port| {
            check_loopback_caller(headers, *port).map_err(|refusal| refused = Some(refusal)).is_ok()
        });
        if let (false, Some(refusal)) = (ours, refused) {
            let status = StatusCode::FORBIDDEN;
            return Err(Refusal::request(status, "not_a_local_program", refusal.to_string()));
        }
        if route == Route::Health {
            return Ok(());
        }
        record.caller = self.callers.identify(headers);
        if record.caller.is_none() {
            let message = "a known key is needed: send it as `authorization: Bearer KEY`";
            return Err(Refusal::request(StatusCode::UNAUTHORIZED, "invalid_api_key", message));
        }
        Ok(())
    }

    async fn route(
        &self,
        route: Route,
        request: Request<Incoming>,
        mut record: Record,
    ) -> Response<Body> {
        match route {
            Route::Health => self.health(&mut record),
            Route::Models => self.models(&mut record),
            Route::Chat => chat::answer(&self.seats, request, record).await,
            Route::Method(wanted) => {
                let message = format!("this path wants {wanted}");
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let refusal = Refusal::request(status, "method_not_allowed", message);
                let mut response = refusal.answer(record);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(wanted));
                response
            }
            Route::Unknown => {
                let message = "there is no such path here; there are /v1/chat/completions, \
                               /v1/models and /health";
                let status = StatusCode::NOT_FOUND;
                Refusal::request(status, "unknown_url", message).answer(record)
            }
        }
    }

    fn health(&self, record: &mut Record) -> Response<Body> {
        record.outcome = Outcome::Probed;
        let age = self.heartbeat.age();
        let (status, word) = if age <= heartbeat::AGE_MAX {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "stalled")
        };
        let body = json!({
            "status": word,
            "version": env!("CARGO_PKG_VERSION"),
            "seats": self.seats.names(),
            "heartbeat_age_ms": u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        });
        reply::json(status, body.to_string().into_bytes(), record)
    }

    fn models(&self, record: &mut Record) -> Response<Body> {
        record.outcome = Outcome::Completed;
        let models = self.seats.models();
        let model = |(name, seat): &(&str, Arc<str>)| json!({ "id": name, "object": "model", "created": 0, "owned_by": &**seat });
        let data: Vec<_> = models.iter().map(model).collect();
        let body = json!({ "object": "list", "data": data });
        reply::json(StatusCode::OK, body.to_string().into_bytes(), record)
    }
}

/// Names for requests, unique over restarts: the second of the start, and a count.
#[derive(Debug)]
struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self { start, count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{count:06x}", self.start)
    }
}
