//! One function for each kind of component.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use sanctum_model::manifest::{
    AcceleratorChoice, DEADMAN, Declared, Driver, Look, SWEEP, Seat, Target, ToolProfile,
};
use sanctum_model::{
    Command, Component, ComponentName, ExitCodes, HttpTarget, Keeper, Life, Manifest, Memory,
    Plane, PortClaim, Probe, Readiness, RenderedFile, Restart, SeatName, Watch,
};

use super::render;
use crate::Layout;
use crate::guest::{self, GATEWAY_PORT, Umbilical};

/// The context of a provider's model is not known here; no model in use has less.
const PROVIDER_CONTEXT_TOKENS: u32 = 131_072;
/// What QEMU takes beside the guest's own memory, measured at 0.4 GiB.
const EMULATOR_BYTES: u64 = 512 << 20;
/// What a component's log takes of the disk unless told otherwise.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// The time from one look to the next, until a component is ready.
const INTERVAL_STARTING: Duration = Duration::from_millis(500);
/// The same where a look is a model's work, which looks that come sooner would only hold up.
const INTERVAL_STARTING_CAPABILITY: Duration = Duration::from_secs(5);

/// How often and how patiently a component is looked at, unless it is told otherwise.
const WATCH: Watch = Watch {
    timeout: Duration::from_secs(3),
    interval_ready: Duration::from_secs(5),
    start_max: Duration::from_mins(1),
    start_limit: Duration::from_mins(5),
    misses_max: 3,
    misses_of: 3,
    unhealthy_max: Duration::from_secs(30),
};

/// Castellan's dead-man's switch. It needs nothing, so that nothing can keep it down.
pub(super) fn deadman(layout: &Layout) -> Component {
    let command =
        Command::new(layout.program(DEADMAN)).arguments(["--home".to_owned(), layout.home.clone()]);
    let probe = Probe::Notify { watchdog: Duration::from_mins(1) };
    Component {
        readiness: Readiness {
            watch: Watch {
                start_max: Duration::from_secs(10),
                start_limit: Duration::from_secs(50),
                ..WATCH
            },
            ..readiness(probe)
        },
        stop_max: Duration::from_secs(5),
        ..own(name(DEADMAN), "watches castellan, and pages when it cannot be brought back", command)
    }
}

/// A local model, behind the program that serves it.
pub(super) fn seat(name: &SeatName, seat: &Seat, layout: &Layout) -> Component {
    let address = loopback(seat.port);
    let thousandths = |number: u32| format!("{}.{:03}", number / 1000, number % 1000);
    let mut command = Command::new(layout.program("sanctum-mlx"))
        .arguments(["--listen".to_owned(), address.to_string()])
        .arguments(["--name".to_owned(), name.to_string()])
        .arguments(["--model".to_owned(), layout.model_file(&seat.model)])
        .arguments(["--context".to_owned(), seat.context.to_string()])
        .arguments(["--temperature".to_owned(), thousandths(seat.temperature_milli)])
        .arguments(["--frequency-penalty".to_owned(), thousandths(seat.frequency_penalty_milli)])
        .arguments([
            "--key-file".to_owned(),
            format!("{}/{}", layout.secrets(), render::seat_secret(name)),
        ]);
    if seat.threads != 0 {
        command = command.arguments(["--threads".to_owned(), seat.threads.to_string()]);
    }
    Component {
        ports: claims(seat.port, "model seat"),
        readiness: Readiness {
            watch: Watch {
                start_max: Duration::from_mins(5),
                start_limit: Duration::from_mins(15),
                ..WATCH
            },
            ..readiness(health(address, "\"status\":\"ok\""))
        },
        ..own(Manifest::seat_component(name), &format!("answers with {}", seat.model), command)
    }
}

/// The LLM gateway.
pub(super) fn proxyd(manifest: &Manifest, layout: &Layout) -> Component {
    let address = loopback(manifest.proxyd().port);
    let file = layout.config("proxyd.toml");
    let command = Command::new(layout.program("proxyd"))
        .arguments(["--config".to_owned(), file.clone()])
        .arguments(["--secrets".to_owned(), layout.secrets()]);
    Component {
        needs: manifest.seats().keys().map(Manifest::seat_component).collect(),
        ports: claims(manifest.proxyd().port, "LLM gateway"),
        readiness: readiness(health(address, "\"status\":\"ok\"")),
        stop_max: Duration::from_secs(15),
        files: vec![RenderedFile { path: file, text: render::proxyd(manifest) }],
        ..own(name("proxyd"), "decides which model answers, and keeps the keys", command)
    }
}

/// The virtual machine. Its program is told everything, so that a changed manifest is a changed
/// component.
pub(super) fn guest(manifest: &Manifest, layout: &Layout) -> Component {
    let (guest, openclaw) = (manifest.guest(), manifest.openclaw());
    let driver = match guest.driver {
        Driver::Auto => "auto",
        Driver::Qemu => "qemu",
        Driver::Lima => "lima",
    };
    let accelerator = match guest.accelerator {
        AcceleratorChoice::Auto => "auto",
        AcceleratorChoice::Kvm => "kvm",
        AcceleratorChoice::Tcg => "tcg",
    };
    let tools = match openclaw.tools {
        ToolProfile::Minimal => "minimal",
        ToolProfile::Full => "full",
    };
    let command = cli(layout)
        .arguments(["guest", "run", "--driver", driver, "--accelerator", accelerator])
        .arguments(["--tools", tools])
        .arguments(["--cpus".to_owned(), guest.cpus.to_string()])
        .arguments(["--memory-mib".to_owned(), (guest.memory.bytes() >> 20).to_string()])
        .arguments(["--ssh-port".to_owned(), guest.ssh_port.to_string()])
        .arguments(["--model".to_owned(), openclaw.model.clone()])
        .arguments(["--context-tokens".to_owned(), agent_context_tokens(manifest).to_string()])
        .arguments(["--answer-tokens-max".to_owned(), openclaw.answer_tokens_max.to_string()]);
    let probe = Probe::Tcp { address: loopback(guest.ssh_port), banner: "SSH-".to_owned() };
    Component {
        ports: claims(guest.ssh_port, "guest's sshd"),
        readiness: Readiness {
            watch: Watch {
                timeout: Duration::from_secs(10),
                // Each look makes the guest's sshd start a process, which an emulated processor feels;
                // the umbilical's own look goes through the guest too, and more often.
                interval_ready: Duration::from_secs(20),
                start_max: Duration::from_mins(10),
                start_limit: Duration::from_mins(30),
                misses_max: 6,
                misses_of: 6,
                unhealthy_max: Duration::from_mins(2),
            },
            ..readiness(probe)
        },
        stop_max: Duration::from_mins(2),
        memory: Memory { peak_bytes: guest.memory.bytes() + EMULATOR_BYTES, ..Memory::default() },
        ..own(name("guest"), "the virtual machine that holds the agent", command)
    }
}

/// The one ssh that carries every forward. It is proven by a question that goes into the guest
/// and comes back out of it to proxyd.
pub(super) fn umbilical(manifest: &Manifest, layout: &Layout) -> Component {
    let directory = layout.guest();
    let proof_socket = format!("{directory}/proof-{GATEWAY_PORT}.sock");
    let command = guest::umbilical(&Umbilical {
        identity: format!("{directory}/tunnel"),
        known_hosts: format!("{directory}/known_hosts"),
        proof_socket: proof_socket.clone(),
        ssh_port: manifest.guest().ssh_port,
        agent_port: manifest.openclaw().port,
        gateway_port: manifest.proxyd().port,
    });
    let probe = Probe::Http {
        target: HttpTarget::Unix(proof_socket),
        host: loopback(GATEWAY_PORT).to_string(),
        path: "/health".to_owned(),
        status: 200,
        body: "\"status\":\"ok\"".to_owned(),
    };
    Component {
        needs: vec![name("proxyd"), name("guest")],
        ports: claims(manifest.openclaw().port, "forward to the agent"),
        readiness: Readiness {
            watch: Watch {
                timeout: Duration::from_secs(10),
                start_max: Duration::from_mins(3),
                start_limit: Duration::from_mins(10),
                unhealthy_max: Duration::from_secs(20),
                ..WATCH
            },
            ..readiness(probe)
        },
        restart: Restart { delay_max: Duration::from_secs(5), ..Restart::default() },
        stop_max: Duration::from_secs(5),
        ..own(name("umbilical"), "carries the ports between host and guest", command)
    }
}

/// The agent. It is a unit of the guest, which starts it at boot and again whenever it ends; what
/// castellan keeps is the follower that stands for it here. So it is given long to recover by
/// itself: under emulation its start takes minutes.
pub(super) fn openclaw(manifest: &Manifest, layout: &Layout) -> Component {
    let port = manifest.openclaw().port;
    let command = cli(layout)
        .arguments(["guest", "follow", "openclaw"])
        .arguments(["--ssh-port".to_owned(), manifest.guest().ssh_port.to_string()]);
    Component {
        plane: Plane::Guest,
        needs: vec![name("umbilical")],
        readiness: Readiness {
            watch: Watch {
                timeout: Duration::from_secs(10),
                start_max: Duration::from_mins(20),
                start_limit: Duration::from_hours(1),
                misses_max: 4,
                misses_of: 4,
                unhealthy_max: Duration::from_mins(15),
                ..WATCH
            },
            // Each look is work for the guest while it has the most to do.
            interval_starting: Duration::from_secs(2),
            ..readiness(health(loopback(port), "\"status\":\"live\""))
        },
        stop_max: Duration::from_mins(1),
        ..own(name("openclaw"), "the agent", command)
    }
}

/// The look at everything from outside. That it finds something is what it is for, and no failure.
pub(super) fn sweep(interval: Duration, layout: &Layout) -> Component {
    Component {
        life: Life::Every(interval),
        exit_codes: ExitCodes { success: vec![3, 4, 5], ..ExitCodes::default() },
        ..own(name(SWEEP), "looks at everything from outside", cli(layout).arguments(["sweep"]))
    }
}

/// A component of the user's own.
pub(super) fn declared(name: &ComponentName, declared: &Declared, layout: &Layout) -> Component {
    let (probe, interval_starting) = match &declared.look {
        Look::Probe(probe) => (probe.clone(), INTERVAL_STARTING),
        Look::Capability { route } => {
            let command = cli(layout).arguments(["probe", "model", route]);
            (Probe::Exec(command), INTERVAL_STARTING_CAPABILITY)
        }
    };
    Component {
        name: name.clone(),
        purpose: "declared in the manifest".to_owned(),
        plane: Plane::Host,
        keeper: declared.keeper.clone(),
        command: declared.command.clone(),
        life: declared.life.clone(),
        exit_codes: declared.exit_codes.clone(),
        needs: declared.needs.clone(),
        ports: if declared.port == 0 {
            Vec::new()
        } else {
            claims(declared.port, "declared in the manifest")
        },
        readiness: Readiness { probe, interval_starting, watch: declared.watch },
        restart: Restart::default(),
        stop_max: declared.stop_max,
        memory: declared.memory,
        log_bytes_max: declared.log_max.bytes(),
        files: Vec::new(),
    }
}

/// The context that the agent can count on: the smallest of the seats on its route.
pub fn agent_context_tokens(manifest: &Manifest) -> u32 {
    let targets = manifest.routes().get(&manifest.openclaw().model);
    let context = |target: &Target| match target {
        Target::Seat(seat) => manifest.seats().get(seat).map(|seat| seat.context),
        Target::Provider(..) => None,
    };
    targets.into_iter().flatten().filter_map(context).min().unwrap_or(PROVIDER_CONTEXT_TOKENS)
}

/// Our own command-line program, told where things are.
fn cli(layout: &Layout) -> Command {
    Command::new(layout.program("sanctum"))
        .variable("SANCTUM_HOME", layout.home.clone())
        .variable("SANCTUM_CACHE", layout.cache.clone())
}

/// One of the system's own, as most of them are.
fn own(name: ComponentName, purpose: &str, command: Command) -> Component {
    Component {
        name,
        purpose: purpose.to_owned(),
        plane: Plane::Host,
        keeper: Keeper::Own,
        command,
        life: Life::Always,
        exit_codes: ExitCodes::default(),
        needs: Vec::new(),
        ports: Vec::new(),
        readiness: readiness(Probe::Alive),
        restart: Restart::default(),
        stop_max: Duration::from_secs(10),
        memory: Memory::default(),
        log_bytes_max: LOG_BYTES_MAX,
        files: Vec::new(),
    }
}

fn readiness(probe: Probe) -> Readiness {
    Readiness { probe, interval_starting: INTERVAL_STARTING, watch: WATCH }
}

fn health(address: SocketAddr, body: &str) -> Probe {
    Probe::Http {
        target: HttpTarget::Tcp(address),
        host: address.to_string(),
        path: "/health".to_owned(),
        status: 200,
        body: body.to_owned(),
    }
}

fn claims(port: u16, why: &str) -> Vec<PortClaim> {
    vec![PortClaim { address: loopback(port), why: why.to_owned() }]
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn name(text: &str) -> ComponentName {
    text.parse().expect("a name of the system itself is well formed")
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::stack::components;

    fn layout() -> Layout {
        let text = str::to_owned;
        Layout {
            home: text("/home/a/.sanctum"),
            cache: text("/home/a/.cache/sanctum"),
            programs: text("/opt/bin"),
        }
    }

    #[test]
    fn the_components_of_an_empty_manifest_are_the_systems_own() {
        let found = components(&Manifest::default(), &layout());
        let shown: Vec<String> = found
            .iter()
            .map(|it| {
                let needs: Vec<&str> = it.needs.iter().map(ComponentName::as_str).collect();
                format!(
                    "{} [{}]\n  {}\n  {:?}\n",
                    it.name,
                    needs.join(" "),
                    it.command,
                    it.readiness.probe
                )
            })
            .collect();
        insta::assert_snapshot!(shown.concat());
    }

    #[test]
    fn a_changed_guest_is_a_changed_command() {
        let before = guest(&Manifest::default(), &layout()).command;
        let after =
            guest(&Manifest::parse("[guest]\nmemory = \"4GiB\"").unwrap(), &layout()).command;
        assert_ne!(before, after);
    }

    #[test]
    fn what_is_declared_is_what_is_kept() {
        let text = "
            [castellan]
            deadman = false
            sweep = 'never'
            [component.radio]
            program = 'radio'
            restart = 'on-failure'
            fatal_codes = [2]
            memory_peak = '1MiB'
            priority = 1
            evictable = true
            log_max = '2MiB'
            start_max = '5s'
            live = { every = '1s', misses = 2, of = 4, recover = '9s' }
            ready = { notify = true, watchdog = '30s', timeout = '7s' }
            [component.seer]
            keeper = 'systemd'
            unit = 'seer.service'
            ready = { capability = 'council-brain' }
            [component.broom]
            program = 'broom'
            schedule = 'daily 03:00'";
        let found = components(&Manifest::parse(text).unwrap(), &layout());
        assert!(found.iter().all(|it| ![DEADMAN, SWEEP].contains(&it.name.as_str())));
        insta::assert_debug_snapshot!(&found[found.len() - 3..]);
    }

    #[test]
    fn the_deadman_comes_first_and_needs_nothing() {
        let found = components(&Manifest::default(), &layout());
        assert_eq!(found[0].name.as_str(), DEADMAN);
        assert!(found[0].needs.is_empty());
    }

    #[test]
    fn the_agent_counts_on_the_smallest_seat_of_its_route() {
        let text = "[seat.a]\nmodel='x'\nport=1\ncontext=4096\n[seat.b]\nmodel='x'\nport=2\ncontext=2048\n";
        assert_eq!(agent_context_tokens(&Manifest::parse(text).unwrap()), 2048);
        let text = format!("{text}[route]\ncouncil-brain = ['a']\n");
        assert_eq!(agent_context_tokens(&Manifest::parse(&text).unwrap()), 4096);
    }
}
