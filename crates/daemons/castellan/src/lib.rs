//! The supervisor: starts components in order, keeps them alive, and publishes what is true.
//!
//! It decides nothing that `plan::supervise` could decide, reaches nothing past loopback, and
//! holds no secret. Its own death costs no component a restart: the next castellan adopts them.

mod control;
mod findings;
mod journal;
mod keeper;
mod lease;
mod notify;
mod output;
mod reaper;
mod record;
mod run;

pub use run::{Aim, Config, RunError, Scope, run};
