//! The control socket: HTTP/1.1 and JSON on a unix socket that only its owner may open.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sanctum_daemon::Shutdown;
use sanctum_host::file;
use sanctum_wire::{Accepted, Event, Fault, Verb};
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, oneshot};

use crate::journal::Subscription;
use crate::keeper::{Handle, Refused, Request};

type Body = BoxBody<Bytes, Infallible>;

/// Connections served at once.
const CONNECTIONS_MAX: usize = 64;
/// The time a request's head may take.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// A comment is sent to a listener this often, so that a dead one is found.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// The time a manifest may take to arrive.
const BODY_MAX: Duration = Duration::from_secs(5);
/// The longest manifest that is read.
const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// How often the server shows that it is alive.
const BEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Frames that wait for a slow listener.
const FRAMES_MAX: usize = 16;

/// Binds the socket, mode 600. The lock is held, so a socket that is there is a dead one's.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    file::make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the shutdown. Past the limit of connections, new ones wait in the backlog.
pub(crate) async fn serve(listener: UnixListener, handle: Handle, shutdown: Shutdown) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let stop = shutdown.token();
    let started = tokio::time::Instant::now();
    let mut beat = tokio::time::interval(BEAT_INTERVAL);
    loop {
        handle.beat.store(started.elapsed().as_secs(), std::sync::atomic::Ordering::Relaxed);
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => return,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a control connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = beat.tick() => continue,
            () = stop.cancelled() => return,
        };
        let (handle, tasks) = (handle.clone(), shutdown.clone());
        shutdown.spawn(async move {
            answer_all(stream, handle, tasks).await;
            drop(place);
        });
    }
}

/// Answers what comes over one connection. At the end, what was asked is still answered.
async fn answer_all(stream: UnixStream, handle: Handle, shutdown: Shutdown) {
    let stop = shutdown.token();
    let service = service_fn(|request| {
        let (handle, shutdown) = (handle.clone(), shutdown.clone());
        async move { Ok::<_, Infallible>(answer(request, handle, &shutdown).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a control connection ended early");
    }
}

async fn answer(
    request: HttpRequest<Incoming>,
    handle: Handle,
    shutdown: &Shutdown,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (method, words) = (request.method(), words.as_slice());
    match (method, words) {
        (&Method::GET, ["v1", "snapshot"]) => {
            match asked(&handle, |reply| Request::Snapshot { reply }).await {
                Ok(snapshot) => json(StatusCode::OK, &snapshot),
                Err(ending) => ending,
            }
        }
        (&Method::GET, ["v1", "events"]) => match since(request.uri().query()) {
            Some(since) => events(&handle, since, shutdown).await,
            None => fault(StatusCode::BAD_REQUEST, "`since` must be a number"),
        },
        (&Method::POST, ["v1", "components", component, verb]) => match Verb::parse(verb) {
            Some(verb) => order(&handle, component, verb).await,
            None => fault(StatusCode::NOT_FOUND, "the verbs are start, stop and restart"),
        },
        (&Method::POST, ["v1", verb @ ("plan" | "apply")]) => {
            let is_apply = *verb == "apply";
            change(request, &handle, is_apply).await
        }
        (&Method::POST, ["v1", "shutdown"]) => {
            accepted(asked(&handle, |reply| Request::Shutdown { reply }).await)
        }
        (&Method::POST, ["v1", "handover"]) => {
            accepted(asked(&handle, |reply| Request::Handover { reply }).await)
        }
        (
            _,
            ["v1", "snapshot" | "events" | "shutdown" | "handover" | "plan" | "apply"]
            | ["v1", "components", _, _],
        ) => fault(StatusCode::METHOD_NOT_ALLOWED, "read with GET, order with POST"),
        _ => fault(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

/// A manifest is sent: what it comes to, or that it be so.
async fn change(request: HttpRequest<Incoming>, handle: &Handle, is_apply: bool) -> Response<Body> {
    let body = Limited::new(request.into_body(), MANIFEST_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(BODY_MAX, body).await else {
        return fault(StatusCode::BAD_REQUEST, "send the manifest as the body, at most 1 MiB");
    };
    let Ok(manifest) = String::from_utf8(body.to_bytes().to_vec()) else {
        return fault(StatusCode::BAD_REQUEST, "the manifest is not UTF-8");
    };
    let planned = if is_apply {
        asked(handle, |reply| Request::Apply { manifest, reply }).await
    } else {
        asked(handle, |reply| Request::Plan { manifest, reply }).await
    };
    match planned {
        Ok(Ok(plan)) => json(StatusCode::OK, &plan),
        Ok(Err(fault)) if fault.problems.is_empty() => json(StatusCode::CONFLICT, &fault),
        Ok(Err(fault)) => json(StatusCode::UNPROCESSABLE_ENTITY, &fault),
        Err(ending) => ending,
    }
}

fn since(query: Option<&str>) -> Option<u64> {
    match query {
        None => Some(0),
        Some(query) => query.strip_prefix("since=")?.parse().ok(),
    }
}

/// Asks the keeper, unless it has gone.
async fn asked<T>(
    handle: &Handle,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, Response<Body>> {
    let ending = || fault(StatusCode::SERVICE_UNAVAILABLE, "castellan is ending");
    let (reply, answer) = oneshot::channel();
    handle.requests.send(request(reply)).await.map_err(|_| ending())?;
    answer.await.map_err(|_| ending())
}

fn accepted(generation: Result<u64, Response<Body>>) -> Response<Body> {
    generation
        .map_or_else(|ending| ending, |generation| json(StatusCode::OK, &Accepted { generation }))
}

async fn order(handle: &Handle, component: &str, verb: Verb) -> Response<Body> {
    let component = component.to_owned();
    match asked(handle, |reply| Request::Order { component, verb, reply }).await {
        Ok(Ok(generation)) => accepted(Ok(generation)),
        Ok(Err(Refused::Busy(why))) => fault(StatusCode::CONFLICT, why),
        Ok(Err(Refused::Unknown(what))) => fault(StatusCode::NOT_FOUND, what),
        Err(ending) => ending,
    }
}

async fn events(handle: &Handle, since: u64, shutdown: &Shutdown) -> Response<Body> {
    let subscription = match asked(handle, |reply| Request::Subscribe { since, reply }).await {
        Ok(subscription) => subscription,
        Err(ending) => return ending,
    };
    let (sender, body) = Channel::new(FRAMES_MAX);
    shutdown.spawn(tell(subscription, sender));
    let mut response = Response::new(BodyExt::boxed(body));
    response
        .headers_mut()
        .insert("content-type", "text/event-stream".parse().expect("a fixed value"));
    response
}

/// Tells a listener what it missed and what comes, until it is gone or too far behind.
async fn tell(subscription: Subscription, mut sender: http_body_util::channel::Sender<Bytes>) {
    let Subscription { missed, mut coming } = subscription;
    for event in missed {
        if sender.send_data(frame(&event)).await.is_err() {
            return;
        }
    }
    loop {
        let frame = tokio::select! {
            event = coming.recv() => match event {
                Ok(event) => frame(&event),
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
            },
            () = tokio::time::sleep(COMMENT_INTERVAL) => Bytes::from_static(b": still here\n\n"),
        };
        if sender.send_data(frame).await.is_err() {
            return;
        }
    }
}

fn frame(event: &Event) -> Bytes {
    let data = serde_json::to_string(event).expect("an event has only texts and numbers");
    format!("id: {}\ndata: {data}\n\n", event.sequence).into()
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let bytes =
        serde_json::to_vec(value).expect("what crosses the socket has only texts and numbers");
    let mut response = Response::new(BodyExt::boxed(Full::new(Bytes::from(bytes))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().expect("a fixed value"));
    response
}

fn fault(status: StatusCode, error: impl Into<String>) -> Response<Body> {
    json(status, &Fault { error: error.into(), problems: Vec::new() })
}
