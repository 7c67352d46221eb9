//! The only code that touches the machine: programs, files, sockets. It decides nothing.
pub mod attended;
pub mod cgroup;
pub mod file;
pub mod log_writer;
pub mod machine;
pub mod memory;
pub mod port;
pub mod probe;
pub mod process;
pub mod program;
pub mod progress;
pub mod ps;
pub mod rotating;
pub mod service_manager;
