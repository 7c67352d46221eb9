//! The real `proxyd` between a raw client and small scripted seats: every byte on both sides is
//! seen, and every connection's end.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

mod access;
mod answers;
mod cancel;
mod faults;
mod start;
mod support;
mod tls;
