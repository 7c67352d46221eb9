//! LLM wire dialects: the part of a request that a hop must read, the frames of a stream, and how
//! an error is said.
//!
//! Bytes in, values out: no sockets, no clock. What is not read is never rebuilt, so that fields
//! nobody here has heard of survive.

mod chat_stream;
mod error;
mod head;
mod lines;
mod sse;
mod usage;
mod watch;

pub use chat_stream::{ChatEvent, ChatStream, ChatStreamError, Completion, Cut, FinishReason};
pub use error::ApiError;
pub use head::{ChatHead, HeadError};
pub use sse::{EVENT_BYTES_MAX, LINE_BYTES_MAX, SseError, SseEvent, SseReader};
pub use usage::Usage;
pub use watch::StreamWatch;
