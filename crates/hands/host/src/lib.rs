//! The only code that touches the machine: programs, files, sockets. It decides nothing.
pub mod file;
pub mod log_writer;
pub mod machine;
pub mod port;
pub mod probe;
pub mod process;
pub mod progress;
