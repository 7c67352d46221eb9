//! The words of the system: names, ports, the manifest, commands as data, moments in time.
//!
//! Nothing here touches the world. Text comes in, checked types go out.

mod command;
mod error_chain;
mod moment;

pub use command::Command;
pub use error_chain::ErrorChain;
pub use moment::Moment;
