//! Passes an answer on, byte by byte as it comes, and makes sure that a cut one cannot be taken
//! for a whole one.
//!
//! ```text
//! Flowing --(the seat ends, the answer is whole)------------------> Over
//!    |                                                               ^
//!    +--(the seat ends early, breaks or is silent: an error event)-> Breaking --(connection cut)
//! ```
//!
//! Of a stream of events only whole ones are passed on, so that the error event at a cut stands
//! by itself. Nothing else is held back, and no byte is changed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use sanctum_dialect::{ApiError, StreamWatch, Usage};
use sanctum_model::ErrorChain;

use crate::attempt::Answer;
use crate::headers;
use crate::record::{Outcome, Record};
use crate::reply::{Aborted, Body, X_SANCTUM_SEAT};

/// The most that is held back of an event that is not whole yet, in bytes; a larger event is
/// passed on as it comes.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// How much of the end of an answer is kept to find its usage in, in bytes.
const TAIL_BYTES_MAX: usize = 2 * 1024;
/// The time that the last bytes have to leave before the connection is cut behind them.
const LINGER: Duration = Duration::from_millis(50);

/// Turns a seat's answer into the caller's.
pub(crate) fn pass_on(answer: Answer, mut record: Record) -> Response<Body> {
    record.status = Some(answer.status);
    let mut headers = headers::for_caller(&answer.headers);
    let flow = if headers::is_event_stream(&headers) {
        headers.remove(CONTENT_LENGTH);
        Flow::Events { watch: Box::default(), held: BytesMut::new(), torn: false }
    } else {
        let expected = headers::content_length(&headers);
        Flow::Plain { expected, tail: Vec::new() }
    };
    if let Ok(seat) = answer.seat.name.parse() {
        headers.insert(X_SANCTUM_SEAT, seat);
    }
    let idle = answer.seat.patience.idle;
    let (first, rest) = (answer.first, answer.rest);
    let relay = Relay { first, rest, idle, flow, stage: Stage::Flowing, record };
    let body = StreamBody::new(stream::unfold(relay, Relay::next)).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}

#[derive(Debug)]
struct Relay {
    first: Option<Bytes>,
    rest: Incoming,
    idle: Duration,
    flow: Flow,
    stage: Stage,
    record: Record,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Flowing,
    /// All has been said; what is left is to cut the connection.
    Breaking,
    Over,
}

/// What kind of answer it is.
#[derive(Debug)]
enum Flow {
    Events {
        watch: Box<StreamWatch>,
        /// The beginning of an event that is not whole yet.
        held: BytesMut,
        /// Whether the beginning of such an event has been passed on.
        torn: bool,
    },
    Plain {
        /// The length that the seat declared.
        expected: Option<u64>,
        /// The last bytes passed on.
        tail: Vec<u8>,
    },
}

/// Why an answer is not whole.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the seat's connection broke in the middle of its answer")]
    Broken(#[source] hyper::Error),
    #[error("the seat ended its stream before the answer was whole")]
    Ended,
    #[error("the seat sent nothing for {} s in the middle of its answer", .0.as_secs())]
    Silent(Duration),
}

type Item = Result<Frame<Bytes>, Aborted>;

impl Relay {
    async fn next(mut self) -> Option<(Item, Self)> {
        loop {
            match self.stage {
                Stage::Flowing => {
                    if let Some(bytes) = self.flow_on().await {
                        self.record.bytes_out += bytes.len() as u64;
                        self.settle();
                        return Some((Ok(Frame::data(bytes)), self));
                    }
                }
                Stage::Breaking => {
                    tokio::time::sleep(LINGER).await;
                    self.stage = Stage::Over;
                    return Some((Err(Aborted), self));
                }
                Stage::Over => return None,
            }
        }
    }

    /// Takes one step, and gives what is to be passed on after it.
    async fn flow_on(&mut self) -> Option<Bytes> {
        let read = match self.first.take() {
            Some(bytes) => Ok(Some(bytes)),
            None => self.read().await,
        };
        match read {
            Ok(Some(bytes)) => {
                self.record.mark_bytes();
                self.flow.pass(bytes)
            }
            Ok(None) if self.flow.is_whole() => self.end(),
            Ok(None) => self.break_off(&Cut::Ended),
            // Nothing that matters comes after `[DONE]`.
            Err(_) if self.flow.is_done() => self.end(),
            Err(cut) => self.break_off(&cut),
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Cut> {
        loop {
            let frame = tokio::time::timeout(self.idle, self.rest.frame()).await;
            match frame.map_err(|_| Cut::Silent(self.idle))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Cut::Broken(error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Notes what is known now, since the caller may leave content before the seat is done.
    fn settle(&mut self) {
        self.record.usage = self.flow.usage();
        let passed = match &self.flow {
            Flow::Events { .. } => self.flow.is_done(),
            Flow::Plain { expected, .. } => *expected == Some(self.record.bytes_out),
        };
        if passed {
            self.record.outcome = Outcome::Completed;
        }
    }

    /// Ends an answer that is whole; what was held of an event goes out with it.
    fn end(&mut self) -> Option<Bytes> {
        self.stage = Stage::Over;
        self.record.outcome = Outcome::Completed;
        match &mut self.flow {
            Flow::Events { held, .. } => rest_of(held),
            Flow::Plain { .. } => None,
        }
    }

    /// Ends an answer that is not whole, so that the caller cannot miss it.
    fn break_off(&mut self, cut: &Cut) -> Option<Bytes> {
        self.stage = Stage::Breaking;
        self.record.outcome = Outcome::UpstreamCut;
        let seat = self.record.seat.as_deref();
        tracing::warn!(id = self.record.id, seat, error = %ErrorChain(cut), "answer was cut");
        match &mut self.flow {
            // The stream has said itself what went wrong.
            Flow::Events { watch, held, .. } if watch.has_failed() => rest_of(held),
            Flow::Events { torn, .. } => {
                let end_of_torn: &[u8] = if *torn { b"\n\n" } else { b"" };
                let code = match cut {
                    Cut::Broken(_) | Cut::Ended => "upstream_stream_cut",
                    Cut::Silent(_) => "upstream_stream_stalled",
                };
                let error = ApiError::new("api_error", code, cut.to_string());
                Some([end_of_torn, &error.to_event()].concat().into())
            }
            Flow::Plain { .. } => None,
        }
    }
}

impl Flow {
    /// What of the bytes so far can be passed on.
    fn pass(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::Plain { tail, .. } => {
                keep_end(tail, &bytes);
                Some(bytes)
            }
            Self::Events { watch, held, torn } => {
                let whole = watch.feed(&bytes);
                if held.is_empty() && whole == bytes.len() {
                    *torn = false;
                    return Some(bytes);
                }
                held.extend_from_slice(&bytes);
                let rest = bytes.len() - whole;
                if whole > 0 {
                    *torn = false;
                    return Some(held.split_to(held.len() - rest).freeze());
                }
                if *torn || held.len() > HELD_BYTES_MAX {
                    *torn = true;
                    return Some(held.split().freeze());
                }
                None
            }
        }
    }

    /// Whether the answer is whole if nothing more comes. A plain one is: hyper has counted.
    fn is_whole(&self) -> bool {
        match self {
            Self::Events { watch, .. } => watch.is_whole(),
            Self::Plain { .. } => true,
        }
    }

    /// Whether the seat has said that it is done.
    fn is_done(&self) -> bool {
        match self {
            Self::Events { watch, .. } => watch.is_done(),
            Self::Plain { .. } => false,
        }
    }

    fn usage(&self) -> Option<Usage> {
        match self {
            Self::Events { watch, .. } => watch.usage(),
            Self::Plain { tail, .. } => Usage::in_tail(tail),
        }
    }
}

fn rest_of(held: &mut BytesMut) -> Option<Bytes> {
    Some(held.split().freeze()).filter(|rest| !rest.is_empty())
}

fn keep_end(tail: &mut Vec<u8>, bytes: &[u8]) {
    let kept = bytes.len().min(TAIL_BYTES_MAX);
    let surplus = (tail.len() + kept).saturating_sub(TAIL_BYTES_MAX);
    tail.drain(..surplus);
    tail.extend_from_slice(&bytes[bytes.len() - kept..]);
}
