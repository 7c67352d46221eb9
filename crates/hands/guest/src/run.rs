//! The guest while it runs: a foreground program that castellan keeps.
//!
//! ```text
//! choose accelerator → start emulator → watch ─┬─ told to stop → ask the guest ─┬─ off in time → done
//!                                              │                                └─ quit, then kill
//!                                              └─ emulator gone by itself → an error
//! ```

use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sanctum_host::file::write_atomic;
use sanctum_host::process::Identity;
use sanctum_model::Command;
use sanctum_model::manifest::AcceleratorChoice;
use sanctum_plan::guest::{Accelerator, Machine, MachineFiles, qemu_command};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::console::{ConsoleLog, tail};
use super::image::Image;
use super::probe::{Verdict, probe_kvm};
use super::status::{self, RunRecord};
use super::{GuestError, GuestPaths, arch, instance, power_down, qmp, text, tool};

/// The time an emulated guest has to shut down by itself.
const STOP_MAX_TCG: Duration = Duration::from_secs(90);
/// The time a guest on a real processor has.
const STOP_MAX_KVM: Duration = Duration::from_secs(30);
/// The time the emulator has to end once it is told to, before it is killed.
const QUIT_MAX: Duration = Duration::from_secs(3);
/// The time between two looks for the guest's sshd, and the time one look may take.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Lines of the console, and of the emulator's complaints, that an error shows.
const TAIL_LINES_MAX: usize = 8;

/// The machine, as the manifest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// What it is to run on.
    pub accelerator: AcceleratorChoice,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// The host port of its sshd.
    pub ssh_port: u16,
    /// The time it has to shut down by itself; by the accelerator if not told.
    pub stop_max: Option<Duration>,
}

/// Runs the prepared guest until SIGTERM or SIGINT, and then shuts it down. A second signal ends
/// it at once.
///
/// Call it from a runtime's `block_on`, on the program's first thread: the emulator is killed by
/// the kernel when the thread that started it ends. Not cancel safe: a dropped future leaves the
/// emulator to that.
///
/// # Errors
///
/// [`GuestError::Died`] when the emulator ends by itself; else what kept it from starting.
pub async fn run(
    paths: &GuestPaths,
    image: &Image,
    cache: &Path,
    settings: &RunSettings,
) -> Result<(), GuestError> {
    if let Some(pid) = status::running(paths) {
        return Err(GuestError::Running { pid });
    }
    let mut signals = Signals::new()?;
    let (accelerator, reason) = choose(settings.accelerator, image, cache)?;
    tracing::info!(%accelerator, reason, "accelerator chosen");
    let command = command(paths, image, settings, accelerator)?;
    for socket in [paths.qmp_socket(), paths.guest_agent_socket()] {
        drop(fs::remove_file(socket));
    }
    let mut console = ConsoleLog::begin(&paths.console_log())?;
    let mut child = start(&command)?;
    keep_record(paths, &child, accelerator, reason, settings.ssh_port)?;
    tracing::info!(pid = child.id(), ssh_port = settings.ssh_port, "emulator started");

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stop_max = settings.stop_max.unwrap_or(match accelerator {
        Accelerator::Kvm => STOP_MAX_KVM,
        Accelerator::Tcg => STOP_MAX_TCG,
    });
    let life = live(&mut child, &mut signals, paths, settings.ssh_port, stop_max);
    let (ended, (), complaints) =
        tokio::join!(life, pump(stdout, &mut console), complaints(stderr));
    drop(fs::remove_file(paths.run_record()));
    match ended? {
        End::Told => Ok(()),
        End::ByItself(status) => {
            let mut words = complaints;
            words.push(tail(&paths.console_log(), TAIL_LINES_MAX));
            Err(GuestError::Died { status: status.to_string(), tail: words.join("\n") })
        }
    }
}

/// How a run came to its end.
enum End {
    /// It was told to.
    Told,
    /// It was not.
    ByItself(ExitStatus),
}

async fn live(
    child: &mut Child,
    signals: &mut Signals,
    paths: &GuestPaths,
    ssh_port: u16,
    stop_max: Duration,
) -> Result<End, GuestError> {
    let unable = |source| GuestError::Tool { tool: "qemu".to_owned(), source };
    tokio::select! {
        biased;
        () = signals.next() => {}
        status = child.wait() => return status.map(End::ByItself).map_err(unable),
        () = announce_sshd(ssh_port) => {}
    }
    tracing::info!(limit_s = stop_max.as_secs(), "shutting the guest down");
    let asked = paths.clone();
    let told = tokio::task::spawn_blocking(move || power_down(&asked)).await;
    if matches!(told, Ok(Ok(()))) {
        tokio::select! {
            _ = child.wait() => return Ok(End::Told),
            () = sleep(stop_max) => tracing::warn!("the guest did not shut down in time"),
            () = signals.next() => tracing::warn!("told twice, not waiting for the guest"),
        }
    } else {
        tracing::warn!("the guest does not answer, ending the emulator");
    }
    let asked = paths.clone();
    drop(tokio::task::spawn_blocking(move || qmp::quit(&asked)).await);
    if timeout(QUIT_MAX, child.wait()).await.is_err() {
        tracing::warn!("killing the emulator");
        child.kill().await.map_err(unable)?;
    }
    Ok(End::Told)
}

fn choose(
    choice: AcceleratorChoice,
    image: &Image,
    cache: &Path,
) -> Result<(Accelerator, String), GuestError> {
    let probe = || Ok::<Verdict, GuestError>(probe_kvm(cache, &image.kernel(), arch()?));
    match choice {
        AcceleratorChoice::Tcg => Ok((Accelerator::Tcg, "asked for".to_owned())),
        AcceleratorChoice::Auto => {
            let verdict = probe()?;
            let accelerator = if verdict.usable { Accelerator::Kvm } else { Accelerator::Tcg };
            Ok((accelerator, verdict.reason))
        }
        AcceleratorChoice::Kvm => {
            let verdict = probe()?;
            if verdict.usable {
                return Ok((Accelerator::Kvm, verdict.reason));
            }
            Err(GuestError::Kvm { reason: verdict.reason })
        }
    }
}

fn command(
    paths: &GuestPaths,
    image: &Image,
    settings: &RunSettings,
    accelerator: Accelerator,
) -> Result<Command, GuestError> {
    let absent = || GuestError::Absent { directory: paths.directory().to_owned() };
    let record = instance::record(paths)?.ok_or_else(absent)?;
    let machine = Machine {
        arch: arch()?,
        accelerator,
        cpus: settings.cpus,
        memory_mib: settings.memory_mib,
        ssh_port: settings.ssh_port,
        machine_id: record.machine_id,
    };
    let files = MachineFiles {
        kernel: text(&image.kernel()),
        initrd: text(&image.initrd()),
        disk: text(&paths.disk()),
        instance_tar: text(&paths.instance_tar()),
        qmp_socket: text(&paths.qmp_socket()),
        guest_agent_socket: text(&paths.guest_agent_socket()),
    };
    Ok(qemu_command(&machine, &files))
}

/// Starts the emulator so that a signal to our whole group does not reach it, which would pull
/// the plug, and so that it never outlives us.
fn start(command: &Command) -> Result<Child, GuestError> {
    tool::require(&command.program, "qemu-system-x86")?;
    let wrapped = Command::new("env")
        .arguments(["--block-signal=INT,TERM,HUP", "setpriv", "--pdeathsig", "KILL", "--"])
        .argument(&command.program)
        .arguments(command.arguments.clone());
    tokio::process::Command::from(tool::process(&wrapped))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| GuestError::Tool { tool: command.program.clone(), source })
}

fn keep_record(
    paths: &GuestPaths,
    child: &Child,
    accelerator: Accelerator,
    reason: String,
    ssh_port: u16,
) -> Result<(), GuestError> {
    let Some(identity) = child.id().and_then(Identity::of) else { return Ok(()) };
    let Identity { pid, started } = identity;
    let run = RunRecord { pid, started, accelerator: accelerator.to_string(), reason, ssh_port };
    let text = serde_json::to_string(&run).unwrap_or_default() + "\n";
    write_atomic(&paths.run_record(), text.as_bytes(), 0o600)?;
    Ok(())
}

/// Says once when the guest's sshd speaks, and then waits for ever.
async fn announce_sshd(port: u16) {
    let begun = Instant::now();
    while !matches!(timeout(LOOK_INTERVAL, sshd_speaks(port)).await, Ok(true)) {
        sleep(LOOK_INTERVAL).await;
    }
    tracing::info!(after_ms = begun.elapsed().as_millis(), "the guest's sshd answers");
    std::future::pending::<()>().await;
}

async fn sshd_speaks(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return false };
    let mut words = [0; 4];
    stream.read_exact(&mut words).await.is_ok() && words == *b"SSH-"
}

async fn pump(output: Option<impl AsyncRead + Unpin>, console: &mut ConsoleLog) {
    let Some(mut output) = output else { return };
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        console.write(&buffer[..length]);
    }
}

/// Logs what the emulator complains of, and returns the last of it.
async fn complaints(errors: Option<impl AsyncRead + Unpin>) -> Vec<String> {
    let mut kept = Vec::new();
    let Some(errors) = errors else { return kept };
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(line, "emulator");
        if kept.len() == TAIL_LINES_MAX {
            kept.remove(0);
        }
        kept.push(line);
    }
    kept
}

/// The two signals that say it is time to stop.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn new() -> Result<Self, GuestError> {
        let unable = |source| GuestError::Tool { tool: "signal handling".to_owned(), source };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(unable)?,
            interrupt: signal(SignalKind::interrupt()).map_err(unable)?,
        })
    }

    /// Waits for the next of either. Cancel safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
