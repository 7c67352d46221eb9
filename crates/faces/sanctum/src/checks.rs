//! What must hold before and while things run, each with a stable id and the command that mends it.
//! Looks only; `up` acts on what it finds, `doctor` shows it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sanctum_host::port::{self, Port};
use sanctum_host::{machine, process};
use sanctum_model::{ByteSize, ErrorChain, Manifest};
use sanctum_plan::stack;
use serde::{Deserialize, Serialize};

use crate::commands::{HopState, find_image, is_lima, look_at_all};
use crate::place::Place;

/// What the guest's disk may grow by before it is looked at again.
const DISK_MIN: u64 = 4 << 30;

/// How a check came out; the order is that of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Good,
    /// Worth knowing; nothing is kept from working.
    Note,
    Bad,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// Stable: scripts may rely on it.
    pub(crate) id: String,
    pub(crate) level: Level,
    /// What was seen.
    pub(crate) what: String,
    /// The command that mends it; empty where nothing is to be mended.
    pub(crate) mend: String,
}

impl Check {
    fn new(
        id: impl Into<String>,
        level: Level,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { id: id.into(), level, what: what.into(), mend: mend.into() }
    }

    pub(crate) fn good(id: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(id, Level::Good, what, "")
    }

    pub(crate) fn bad(
        id: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(id, Level::Bad, what, mend)
    }

    fn note(id: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(id, Level::Note, what, mend)
    }
}

/// The machine itself, whatever the manifest says.
pub(crate) fn machine(place: &Place) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(tool("machine.ssh", "ssh", "openssh-client"));
    checks.push(tool("machine.ssh-keygen", "ssh-keygen", "openssh-client"));
    for (id, directory) in [("disk.state", &place.layout.home), ("disk.cache", &place.layout.cache)]
    {
        checks.push(match machine::disk_available(Path::new(directory)) {
            Some(bytes) if bytes < DISK_MIN => Check::bad(
                id,
                format!(
                    "{} free at `{directory}`, {} needed",
                    ByteSize::from_bytes(bytes),
                    ByteSize::from_bytes(DISK_MIN)
                ),
                "make room, or set SANCTUM_HOME and SANCTUM_CACHE to a larger disk",
            ),
            Some(bytes) => {
                Check::good(id, format!("{} free at `{directory}`", ByteSize::from_bytes(bytes)))
            }
            None => Check::note(id, format!("cannot tell the room at `{directory}`"), ""),
        });
    }
    checks.push(secrets(place));
    checks
}

fn tool(id: &str, program: &str, package: &str) -> Check {
    match machine::find_program(program) {
        Some(path) => Check::good(id, path.display().to_string()),
        None if cfg!(target_os = "macos") => {
            Check::bad(id, format!("`{program}` is not on PATH"), format!("brew install {package}"))
        }
        None => Check::bad(
            id,
            format!("`{program}` is not on PATH"),
            format!("sudo apt-get install {package}"),
        ),
    }
}

/// Every secret is its owner's alone.
fn secrets(place: &Place) -> Check {
    let id = "secrets.private";
    let directory = place.layout.secrets();
    let open: Vec<String> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|about| about.permissions().mode() & 0o077 != 0))
        .map(|entry| entry.path().display().to_string())
        .collect();
    if open.is_empty() {
        Check::good(id, format!("`{directory}` is for its owner alone"))
    } else {
        Check::bad(
            id,
            format!("open to others: {}", open.join(", ")),
            format!("chmod 600 {}", open.join(" ")),
        )
    }
}

/// What a manifest needs before it can be brought up.
pub(crate) fn prerequisites(place: &Place, manifest: &Manifest) -> Vec<Check> {
    let mut checks = driver(manifest);
    checks.push(memory(place, manifest));
    checks.push(match find_image(place) {
        Ok(Some(image)) => Check::good("guest.image", format!("built: {}", image.key)),
        Ok(None) => {
            Check::note("guest.image", "the guest's image is not built", "sanctum guest build")
        }
        Err(failure) => {
            let mend = failure.hints().first().cloned().unwrap_or_default();
            Check::bad("guest.image", failure.to_string(), mend)
        }
    });
    for (name, seat) in manifest.seats() {
        let file = place.layout.model_file(&seat.model);
        let id = format!("model.{name}");
        checks.push(if Path::new(&file).is_file() {
            Check::good(id, format!("`{}` is in the store", seat.model))
        } else {
            Check::note(
                id,
                format!("`{}` is not in the store", seat.model),
                format!("sanctum model pull {}", seat.model),
            )
        });
    }
    for (name, provider) in manifest.providers() {
        checks.push(provider_key(place, name.as_str(), &provider.key));
    }
    checks.extend(ports(place, manifest));
    checks
}

fn driver(manifest: &Manifest) -> Vec<Check> {
    if is_lima(manifest.guest().driver) {
        return vec![tool("machine.lima", "limactl", "lima")];
    }
    let emulator = format!("qemu-system-{}", std::env::consts::ARCH);
    let package = if cfg!(target_arch = "aarch64") { "qemu-system-arm" } else { "qemu-system-x86" };
    vec![
        tool("machine.qemu", &emulator, package),
        tool("machine.qemu-img", "qemu-img", "qemu-utils"),
    ]
}

fn memory(place: &Place, manifest: &Manifest) -> Check {
    let id = "machine.memory";
    let peak: u64 =
        stack::components(manifest, &place.layout).iter().map(|it| it.memory.peak_bytes).sum();
    let peak = ByteSize::from_bytes(peak);
    match machine::memory() {
        Some(memory) if memory.total < peak.bytes() => Check::bad(
            id,
            format!(
                "the components may take {peak}, and the machine has {}",
                ByteSize::from_bytes(memory.total)
            ),
            format!("lower guest.memory in {}", place.layout.manifest()),
        ),
        Some(memory) => Check::good(
            id,
            format!(
                "{} available of {}, {peak} declared",
                ByteSize::from_bytes(memory.available),
                ByteSize::from_bytes(memory.total)
            ),
        ),
        None => Check::note(id, "cannot tell the machine's memory", ""),
    }
}

fn provider_key(place: &Place, provider: &str, key: &str) -> Check {
    let id = format!("secret.{provider}");
    let read = key.parse().map(|name| (place.secrets().read(&name), place.secrets().path(&name)));
    match read {
        Ok((Ok(_), path)) => Check::good(id, format!("`{}` can be read", path.display())),
        Ok((Err(error), path)) => Check::bad(
            id,
            ErrorChain(&error).to_string(),
            format!("put the key into {}, mode 600", path.display()),
        ),
        Err(error) => Check::bad(id, ErrorChain(&error).to_string(), ""),
    }
}

/// Every port is free, or held by the component that claims it.
fn ports(place: &Place, manifest: &Manifest) -> Vec<Check> {
    let ours = our_groups(place);
    let mut checks = Vec::new();
    for component in stack::components(manifest, &place.layout) {
        for claim in &component.ports {
            let id = format!("port.{}", claim.address.port());
            let port = claim.address.port();
            checks.push(match port::look(port) {
                Port::Free => Check::good(id, format!("free for {}", component.name)),
                Port::Held(holder) if ours.contains(&holder.group) => {
                    Check::good(id, format!("held by our own {} (pid {})", holder.name, holder.pid))
                }
                Port::Held(holder) => Check::bad(
                    id,
                    format!(
                        "{} wants it for `{}`, and `{}` (pid {}) has it",
                        component.name, claim.why, holder.name, holder.pid
                    ),
                    format!(
                        "kill {}, or give {} another port in {}",
                        holder.pid,
                        component.name,
                        place.layout.manifest()
                    ),
                ),
                Port::HeldByUnknown => Check::bad(
                    id,
                    format!(
                        "{} wants it for `{}`, and another user's process has it",
                        component.name, claim.why
                    ),
                    format!("sudo ss -ltnp 'sport = :{port}' shows which"),
                ),
            });
        }
    }
    checks
}

/// The process groups of castellan's children, living, from its record of each.
pub(crate) fn our_groups(place: &Place) -> BTreeSet<u32> {
    #[derive(Deserialize)]
    struct Child {
        identity: process::Identity,
    }
    let entries = fs::read_dir(place.layout.run("children")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path()).ok())
        .filter_map(|record| serde_json::from_slice::<Child>(&record).ok())
        .filter(|child| child.identity.is_alive())
        .map(|child| child.identity.pid)
        .collect()
}

/// Every hop on the way of a question, while things run.
pub(crate) fn hops(place: &Place, manifest: &Manifest) -> Vec<Check> {
    if !Path::new(&place.layout.socket()).exists() {
        return vec![Check::note("castellan.running", "castellan is not running", "sanctum up")];
    }
    let hops = look_at_all(place, manifest);
    let check = |hop: &crate::commands::Hop| {
        let id = format!("hop.{}", hop.name);
        match &hop.state {
            HopState::Good => Check::good(id, format!("{} answers", hop.component)),
            HopState::Broken(why) => {
                Check::bad(id, why.clone(), format!("sanctum logs {}", hop.component))
            }
        }
    };
    hops.iter().map(check).collect()
}
