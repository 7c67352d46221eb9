//! Supervision: the life of one component, and of all of them together.
//!
//! [`Phase`] is one component's state machine; [`Fleet`] adds what they need of one another:
//! nothing starts before its needs are ready, and nothing stops before what needs it. Neither
//! knows a process, a file or a clock; `castellan` carries the effects out.

mod fleet;
mod patience;
mod phase;
mod transition;

pub use fleet::{Fleet, Member, Order};
pub use patience::{CodeSet, Kind, Looks, Patience};
pub use phase::{Effect, Event, Exit, Movement, Needs, Phase, Recent, Seen, Then};
