//! The line of the log that tells of one request: never a body, never a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use sanctum_dialect::Usage;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A whole answer was passed on, whatever its status.
    Completed,
    /// The caller left before it had all.
    ClientGone,
    /// The seat left in the middle of its answer.
    UpstreamCut,
    /// Nothing was asked of a seat.
    Refused,
    /// No seat answered.
    NoSeat,
    /// It was a look at proxyd itself.
    Probed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientGone => "client_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::Refused => "refused",
            Self::NoSeat => "no_seat",
            Self::Probed => "probed",
        }
    }
}

/// What is known of one request so far. Written to the log when it is dropped, so that no request
/// goes untold, however it ends.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) route: &'static str,
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) model: Option<String>,
    pub(crate) seat: Option<Arc<str>>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) streaming: bool,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Attempts at seats.
    pub(crate) attempts: u32,
    pub(crate) usage: Option<Usage>,
    /// Until it is said otherwise, the caller left.
    pub(crate) outcome: Outcome,
    started: Instant,
    headers_after: Option<Duration>,
    first_byte_after: Option<Duration>,
}

impl Record {
    pub(crate) fn new(id: String, route: &'static str) -> Self {
        Self {
            id,
            route,
            caller: None,
            model: None,
            seat: None,
            status: None,
            streaming: false,
            bytes_in: 0,
            bytes_out: 0,
            attempts: 0,
            usage: None,
            outcome: Outcome::ClientGone,
            started: Instant::now(),
            headers_after: None,
            first_byte_after: None,
        }
    }

    /// The seat's headers are here.
    pub(crate) fn mark_headers(&mut self) {
        self.headers_after = Some(self.started.elapsed());
    }

    /// Some bytes of the seat's body are here.
    pub(crate) fn mark_bytes(&mut self) {
        self.first_byte_after.get_or_insert_with(|| self.started.elapsed());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let milliseconds = |time: Duration| {
            u64::try_from(time.as_micros()).map_or(0, |micros| micros.div_ceil(1000))
        };
        macro_rules! tell {
            ($level:ident) => {
                tracing::$level!(
                    id = self.id,
                    route = self.route,
                    caller = self.caller.as_deref(),
                    model = self.model,
                    seat = self.seat.as_deref(),
                    status = self.status.map(|status| status.as_u16()),
                    stream = self.streaming,
                    outcome = self.outcome.as_str(),
                    attempts = self.attempts,
                    bytes_in = self.bytes_in,
                    bytes_out = self.bytes_out,
                    headers_ms = self.headers_after.map(milliseconds),
                    first_byte_ms = self.first_byte_after.map(milliseconds),
                    total_ms = milliseconds(self.started.elapsed()),
                    tokens_in = self.usage.map(|usage| usage.prompt_tokens),
                    tokens_out = self.usage.map(|usage| usage.completion_tokens),
                    "request"
                )
            };
        }
        // A probe once a second would bury the rest.
        match self.outcome {
            Outcome::Probed => tell!(debug),
            Outcome::Completed
            | Outcome::ClientGone
            | Outcome::UpstreamCut
            | Outcome::Refused
            | Outcome::NoSeat => tell!(info),
        }
    }
}
