//! The guest on this machine: its image, its instance, the emulator that runs it.
//!
//! What the commands and files say is decided in `sanctum_plan::guest`; here they are run and
//! written. The host opens nothing by a name that the guest chose, and reads from it only what
//! its console and its journal print, bounded.
//!
//! A crate of its own for trust: it hands the guest its secrets. Who links it can read them, and
//! castellan must not.

mod assets;
mod console;
mod error;
mod follow;
pub mod image;
pub mod instance;
pub mod lima;
mod paths;
mod probe;
mod qmp;
mod run;
mod status;
mod tool;

pub use console::{Follow, console};
pub use error::GuestError;
pub use follow::follow_unit;
pub use paths::GuestPaths;
pub use probe::{Verdict, probe_kvm};
pub use qmp::{machine_state, power_down};
pub use run::{RunSettings, run};
pub use status::{MachineStatus, Status, status, status_in_lima};

use sanctum_model::Command;
use sanctum_plan::guest::{Admin, Arch, admin_ssh};

/// The processor family of this machine, which is that of its guests.
///
/// # Errors
///
/// [`GuestError::Arch`] where there is no image for it.
pub fn arch() -> Result<Arch, GuestError> {
    Arch::parse(std::env::consts::ARCH).ok_or(GuestError::Arch { arch: std::env::consts::ARCH })
}

/// The command that opens a shell as the guest's root, or runs `arguments` there.
pub fn ssh_command(paths: &GuestPaths, ssh_port: u16, arguments: &[String]) -> Command {
    let admin = Admin {
        identity: text(&paths.admin_key()),
        known_hosts: text(&paths.known_hosts()),
        ssh_port,
    };
    admin_ssh(&admin, arguments)
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[usize::from(digit)])
        .collect()
}
