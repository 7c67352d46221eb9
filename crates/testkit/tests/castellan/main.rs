//! The real castellan over real processes: order, faults, adoption, control.
//!
//! Every test has a state directory, ports and processes of its own, awaits conditions and never
//! a time, and leaves nothing running.

#![cfg(target_os = "linux")]

mod acceptance_deaths;
mod acceptance_ends;
mod acceptance_ports;
mod acceptance_roots;
mod acceptance_starts;
mod acceptance_trees;
mod adoption;
mod control;
mod crashes;
mod guarded;
mod health;
mod keepers;
mod memory;
mod order;
mod story;
mod trouble;
