//! The words of the system: names, ports, the manifest, commands as data, moments in time.
//!
//! Nothing here touches the world. Text comes in, checked types go out.

mod calendar;
mod command;
mod component;
mod error_chain;
pub mod manifest;
mod moment;
mod name;
mod quantity;

pub use calendar::{CalendarError, Civil};
pub use command::Command;
pub use component::{
    Calendar, Component, Eviction, ExitCodes, HttpTarget, Keeper, Life, Memory, Plane, PortClaim,
    Probe, Readiness, RenderedFile, Restart, Scope, Watch,
};
pub use error_chain::ErrorChain;
pub use manifest::Manifest;
pub use moment::Moment;
pub use name::{ComponentName, NameError, ProviderName, SeatName};
pub use quantity::{ByteSize, QuantityError, parse_duration};
