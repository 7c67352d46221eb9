//! The control API as types, and its client over a unix socket.
//!
//! HTTP/1.1 and JSON, so that `curl --unix-socket` speaks it too:
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/snapshot` | a [`Snapshot`] |
//! | `GET /v1/events?since=N` | server-sent events, each an [`Event`] |
//! | `POST /v1/components/NAME/start`, `stop`, `restart` | an [`Accepted`] |
//! | `POST /v1/plan`, the manifest as the body | a [`ChangePlan`]; nothing is touched |
//! | `POST /v1/apply`, the manifest as the body | a [`ChangePlan`] that is being carried out |
//! | `POST /v1/shutdown` | an [`Accepted`]; everything is stopped in order, then castellan ends |
//! | `POST /v1/handover` | an [`Accepted`]; castellan ends and leaves its children to the next one |
//!
//! An error is a [`Fault`] with a status of 4xx or 5xx.

mod client;
mod types;

pub use client::{Client, ClientError, Events};
pub use types::{
    Accepted, Change, ChangeKind, ChangePlan, ComponentState, Event, Fault, Finding,
    ManifestProblem, MemoryLedger, PhaseName, PlaneName, PortState, Severity, Snapshot, Verb,
};
