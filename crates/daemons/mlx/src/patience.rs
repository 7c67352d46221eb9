//! How the engine's threads wait for each other.
//!
//! llama.cpp's threads meet some thousand times for each token. OpenMP lets those that are early
//! spin, for milliseconds, in the hope that the late ones come at once. They do on an idle
//! machine. On one whose cores are shared, with a guest for instance, the late one waits for the
//! very core the early one spins on, and an answer takes twenty times as long. A short spin and
//! then sleep costs an idle machine little and a busy one nothing.
//!
//! OpenMP reads its settings before `main`, so the program starts itself over, once, in the same
//! process.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The setting, and the looks at a lock before a thread sleeps: some 40 microseconds.
const SPIN: (&str, &str) = ("GOMP_SPINCOUNT", "1000");
/// Settings of OpenMP that say how to wait. Who sets one knows better.
const TOLD_BY: [&str; 3] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY"];

/// Sets how threads wait, unless that is set already. Returns only if it is, or cannot be.
///
/// # Errors
///
/// When the program cannot start itself over; it then works as OpenMP likes.
pub fn set_patience() -> io::Result<()> {
    if !cfg!(all(feature = "llama", target_os = "linux"))
        || TOLD_BY.iter().any(|name| env::var_os(name).is_some())
    {
        return Ok(());
    }
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(SPIN.0, SPIN.1).exec())
}
