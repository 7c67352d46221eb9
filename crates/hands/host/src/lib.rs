//! The only code that touches the machine: programs, files, sockets, guests. It decides nothing.
pub mod file;
pub mod probe;
pub mod process;
