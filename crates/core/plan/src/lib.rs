//! Decisions: what to do next, given what is wanted and what was seen.
#![cfg_attr(not(test), no_std)]
extern crate alloc;

pub mod capacity;
pub mod guest;
mod layout;
pub mod stack;
pub mod supervise;

pub use layout::Layout;
