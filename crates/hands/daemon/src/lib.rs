//! How a process of ours lives: its log, its end, and the guard in front of its loopback HTTP.
//!
//! It holds no configuration and reads no environment but `SANCTUM_LOG`.

mod guard;
mod log;
mod shutdown;

pub use guard::{Refusal, check_loopback_caller};
pub use log::init_tracing;
pub use shutdown::Shutdown;
