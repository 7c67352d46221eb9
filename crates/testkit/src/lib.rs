//! What tests of whole programs need. Never shipped.
//!
//! [`Castle`] runs the real castellan in a state directory of its own, over stand-ins for the
//! programs it keeps (`src/bin/fake_component.rs`) whose faults a test switches on and off.

mod castle;
mod ports;
mod programs;
mod starts;
#[cfg(target_os = "linux")]
mod systemd;

pub use castle::{Castle, WAIT_MAX};
pub use ports::Ports;
pub use programs::{place, program};
pub use starts::{Start, Starts};
#[cfg(target_os = "linux")]
pub use systemd::PrivateSystemd;
