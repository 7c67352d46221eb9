//! The real deadman over real processes: a castellan that hangs, dies, ends or never comes back,
//! and pages that reach somebody.
//!
//! Every test has a state directory and processes of its own, and leaves nothing running.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

mod castellan;
mod command_line;
mod pages;
mod stand;
