//! The manifest: `sanctum.toml`, the one file that declares everything.
//!
//! Parsing is strict and reports every fault at once, each with its place in the text and, where
//! one can be guessed, what was meant. There is no other way to get a [`Manifest`].

mod check;
mod component;
mod declared;
mod graph;
mod problem;
mod read;
mod reader;
mod ready;
mod schedule;

use std::collections::BTreeMap;
use std::time::Duration;

pub use declared::{Declared, Look, Program, ProgramUse};
pub use problem::{ManifestError, Problem};

use crate::{ByteSize, ComponentName, ProviderName, SeatName};

/// A checked manifest: names are well formed, every need exists, no cycle, no port is claimed
/// twice, and every model route ends at a seat or provider that is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    castellan: Castellan,
    memory: MemoryPool,
    guest: Guest,
    openclaw: OpenClaw,
    proxyd: Proxyd,
    seats: BTreeMap<SeatName, Seat>,
    providers: BTreeMap<ProviderName, Provider>,
    routes: BTreeMap<String, Vec<Target>>,
    components: BTreeMap<ComponentName, Declared>,
    programs: Vec<Program>,
}

/// `[guest]`: the virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// What runs it.
    pub driver: Driver,
    /// What carries its instructions out.
    pub accelerator: AcceleratorChoice,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory, its ceiling.
    pub memory: ByteSize,
    /// The host port of its sshd.
    pub ssh_port: u16,
}

/// What runs the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// QEMU on Linux, Lima on macOS.
    Auto,
    /// QEMU.
    Qemu,
    /// Lima, on Apple's hypervisor.
    Lima,
}

/// What carries the guest's instructions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceleratorChoice {
    /// KVM if it is proven to work, else emulation.
    Auto,
    /// KVM, or the guest does not start.
    Kvm,
    /// Emulation in software.
    Tcg,
}

/// `[openclaw]`: the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenClaw {
    /// The host port of its gateway.
    pub port: u16,
    /// The model name it asks proxyd for; one of the routes.
    pub model: String,
    /// How many tools it is told of.
    pub tools: ToolProfile,
    /// The longest answer it asks for, in tokens.
    pub answer_tokens_max: u32,
}

/// How many tools the agent is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolProfile {
    /// Three tools, a prompt of about 3,200 tokens: what a context below 16k has room for.
    Minimal,
    /// All twelve, a prompt of about 10,600 tokens.
    Full,
}

/// `[proxyd]`: the LLM gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxyd {
    /// Its host port.
    pub port: u16,
}

/// `[seat.NAME]`: a local model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The model's name in the store, or the path of a file.
    pub model: String,
    /// The host port of its server.
    pub port: u16,
    /// The context window, in tokens.
    pub context: u32,
    /// Threads; 0 for as many as there are processors.
    pub threads: u32,
    /// The temperature of a request that names none, in thousandths.
    pub temperature_milli: u32,
    /// What a token loses, in thousandths, for each time it was chosen before.
    pub frequency_penalty_milli: u32,
}

/// `[provider.NAME]`: somebody else's models, spoken to as OpenAI's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The address up to and with `/v1`.
    pub base_url: String,
    /// The name of the secret that holds its key.
    pub key: String,
}

/// One end of a model route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A local seat.
    Seat(SeatName),
    /// A provider, and the model's name there.
    Provider(ProviderName, String),
}

/// `[castellan]`: the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Castellan {
    /// Whether something watches it.
    pub deadman: Deadman,
    /// How often everything is looked at from outside; none: never.
    pub sweep: Option<Duration>,
}

/// Whether castellan keeps a dead-man's switch that watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadman {
    /// It does.
    Kept,
    /// It does not: nobody notices when castellan itself is stuck.
    Absent,
}

/// `[memory]`: what of the machine's memory is not given to components. None where it is worked
/// out from the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryPool {
    /// What is left to everything else that runs.
    pub reserved: Option<ByteSize>,
    /// What is never given away at all.
    pub safety: Option<ByteSize>,
}

/// The names that the system's own components have; no declared one may take them.
pub const RESERVED_NAMES: [&str; 7] =
    [DEADMAN, "sanctum-mlx", "proxyd", "guest", "umbilical", "openclaw", SWEEP];

/// The name of castellan's dead-man's switch.
pub const DEADMAN: &str = "castellan-deadman";

/// The name of the task that looks at everything from outside.
pub const SWEEP: &str = "sweep";

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] carries every problem, not the first one.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Self::parse_with(text, |_| Vec::new())
    }

    /// Reads a manifest, and lets `check` say what is wrong with the programs it names, which only
    /// somebody who sees the machine can. It is asked of every program that can be read, so that
    /// its problems come together with all the others.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] carries every problem, those of `check` among them.
    pub fn parse_with(
        text: &str,
        check: impl FnOnce(&[Program]) -> Vec<Problem>,
    ) -> Result<Self, ManifestError> {
        let (manifest, mut problems) = read::read(text);
        if let Some(manifest) = &manifest {
            problems.extend(check(&manifest.programs));
        }
        match manifest {
            Some(manifest) if problems.is_empty() => Ok(manifest),
            _ => Err(ManifestError::new(problems)),
        }
    }

    /// The supervisor.
    pub fn castellan(&self) -> &Castellan {
        &self.castellan
    }

    /// What of the machine's memory is not given to components.
    pub fn memory(&self) -> &MemoryPool {
        &self.memory
    }

    /// The virtual machine.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The agent.
    pub fn openclaw(&self) -> &OpenClaw {
        &self.openclaw
    }

    /// The LLM gateway.
    pub fn proxyd(&self) -> &Proxyd {
        &self.proxyd
    }

    /// The local seats, by name.
    pub fn seats(&self) -> &BTreeMap<SeatName, Seat> {
        &self.seats
    }

    /// The providers, by name.
    pub fn providers(&self) -> &BTreeMap<ProviderName, Provider> {
        &self.providers
    }

    /// For each model name that callers use, where it is tried, in order.
    pub fn routes(&self) -> &BTreeMap<String, Vec<Target>> {
        &self.routes
    }

    /// The user's own components, by name.
    pub fn components(&self) -> &BTreeMap<ComponentName, Declared> {
        &self.components
    }

    /// Every program that a declared component names, in the order of the components' names.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The component that keeps a seat: `sanctum-mlx` for `general`, else `sanctum-mlx-NAME`.
    ///
    /// # Panics
    ///
    /// Never: a seat's name is checked to leave room for the prefix.
    pub fn seat_component(seat: &SeatName) -> ComponentName {
        let name = match seat.as_str() {
            "general" => "sanctum-mlx".to_owned(),
            other => format!("sanctum-mlx-{other}"),
        };
        name.parse().expect("a seat's name leaves room for the prefix")
    }
}

impl Default for Manifest {
    /// What an empty file says.
    fn default() -> Self {
        Self::parse("").expect("an empty manifest is a good one")
    }
}
