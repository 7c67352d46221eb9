//! The only code that touches the machine: programs, files, sockets, guests. It decides nothing.
pub mod file;
pub mod guest;
pub mod machine;
pub mod port;
pub mod probe;
pub mod process;
pub mod progress;
