//! The guest under Lima: prepared, started, stopped and looked at through `limactl`.
//!
//! What `limactl` says is taken with care: its exit status says little in either direction, and
//! an empty list does not mean that there is nothing. So each order is followed by a look, and
//! what the look does not show is unknown.
//!
//! Nothing here has been run on a Mac; it is tested with a stand-in for `limactl`. By Lima's
//! source, our image would not come up under it yet:
//!
//! - the image has no boot loader. Its kernel and first root would have to be named in
//!   `lima.yaml`, with a command line for Lima's console;
//! - Lima hands in files on a disk that cloud-init reads. The image has no cloud-init and nothing
//!   else that reads it, so the guest would get neither keys nor configuration;
//! - the guest takes the address of QEMU's network only, and Lima's is another;
//! - Lima makes a user of its own and logs in as that one before it calls a start done. Our sshd
//!   lets in `sanctum` and `root`.
//!
//! The last three are one small program in the image: it would mount Lima's disk, unpack, and
//! set the address and the user.

mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sanctum_host::file::write_atomic;
use sanctum_model::Command;
use sanctum_plan::guest::{Lima, Recipe, lima_yaml};
use sanctum_secrets::Secrets;
use serde::Deserialize;
use tokio::process::Command as Process;
use tokio::time::timeout;

use super::image::Image;
use super::instance::{InstanceSettings, lima_files};
use super::{GuestError, GuestPaths, assets, text, tool};

pub use run::run;

/// The program, by name.
pub const LIMACTL: &str = "limactl";
/// The name of the instance.
pub const INSTANCE: &str = "sanctum";
/// The image's disk, in the image's manifest.
const DISK: &str = "base.qcow2";
/// The time Lima may take to start it, the default of its own, and to say so.
const START_MAX: Duration = Duration::from_mins(10);
const START_SAID_MAX: Duration = START_MAX.saturating_add(Duration::from_secs(20));
/// The time a guest has to shut down by itself. Lima would wait for three minutes; together with
/// what follows it stays below the two that castellan has.
const STOP_MAX: Duration = Duration::from_secs(75);
/// The time a stop by force may take.
const FORCE_MAX: Duration = Duration::from_secs(20);
/// The time one look may take.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// What Lima's list shows of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimaState {
    /// It runs; its sshd is at this port of the host.
    Running {
        /// The port.
        ssh_port: u16,
    },
    /// It does not run.
    Stopped,
    /// Lima has lost a part of it, or is not through with starting it.
    Broken {
        /// What it says of it.
        errors: Vec<String>,
    },
    /// The list does not show it: it may not exist, or the list may be wrong.
    Unknown {
        /// What was seen.
        why: String,
    },
}

/// A row of `limactl list --json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    status: String,
    #[serde(default)]
    ssh_local_port: u16,
    #[serde(default)]
    errors: Option<Vec<String>>,
    /// Where Lima keeps the instance.
    #[serde(default)]
    dir: Option<PathBuf>,
}

impl Row {
    fn state(self) -> LimaState {
        match self.status.as_str() {
            "Running" => LimaState::Running { ssh_port: self.ssh_local_port },
            "Stopped" => LimaState::Stopped,
            "Broken" => LimaState::Broken { errors: self.errors.unwrap_or_default() },
            other => LimaState::Unknown { why: format!("its status is `{other}`") },
        }
    }
}

/// Makes the instance's identity, or brings its configuration up to date, and writes `lima.yaml`.
/// The disk is Lima's own.
///
/// # Errors
///
/// What cannot be read, made or written.
pub fn prepare(
    paths: &GuestPaths,
    image: &Image,
    secrets: &Secrets,
    settings: &InstanceSettings<'_>,
    cpus: u32,
    memory_mib: u32,
) -> Result<(), GuestError> {
    let sum = image.manifest()?.sha256.get(DISK).cloned();
    let no_sum = || GuestError::Lima {
        action: "prepare",
        what: format!("the image {} does not say the sum of its disk", image.key),
    };
    let yaml = lima_yaml(&Lima {
        cpus,
        memory_mib,
        disk_gib: Recipe::parse(assets::RECIPE)?.image.size_gib,
        image: text(&image.disk()),
        image_sha256: sum.ok_or_else(no_sum)?,
        ssh_port: settings.ssh_port,
        files: lima_files(paths, secrets, settings)?,
    });
    write_atomic(&paths.lima_yaml(), yaml.as_bytes(), 0o600)?;
    Ok(())
}

/// Looks at the instance. `limactl` is the program, by name or path.
pub async fn state(limactl: &str) -> LimaState {
    match row(limactl).await {
        Ok(row) => row.state(),
        Err(why) => LimaState::Unknown { why },
    }
}

/// The row of the instance, or why none was seen.
async fn row(limactl: &str) -> Result<Row, String> {
    let list = Command::new(limactl).arguments(["list", "--json", INSTANCE]);
    let output = Process::from(tool::process(&list))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .process_group(0)
        .output();
    let output = match timeout(LOOK_MAX, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("cannot run {limactl}: {error}")),
        Err(_) => return Err(format!("{limactl} shows no list in {} s", LOOK_MAX.as_secs())),
    };
    // One object a line, and it counts whatever the exit status is.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Row>(line).ok())
        .find(|row| row.name == INSTANCE)
        .ok_or_else(|| format!("the list does not show it ({})", output.status))
}

/// Starts the instance: made from `yaml` if Lima does not have it, else with what `yaml` says now.
/// Returns the host port of its sshd.
///
/// # Errors
///
/// [`GuestError::Lima`] when it does not run afterwards, whatever `limactl` said.
async fn start(limactl: &str, yaml: &Path) -> Result<u16, GuestError> {
    let limit = format!("--timeout={}s", START_MAX.as_secs());
    let mut start = vec!["start".to_owned(), "--tty=false".to_owned(), limit];
    match row(limactl).await {
        Ok(row) => {
            let directory = row.dir.clone();
            match row.state() {
                LimaState::Running { ssh_port } => return Ok(ssh_port),
                LimaState::Broken { .. } => force_stop(limactl).await?,
                LimaState::Stopped | LimaState::Unknown { .. } => {}
            }
            if let Some(directory) = directory {
                renew(yaml, &directory)?;
            }
            start.push(INSTANCE.to_owned());
        }
        Err(_) => start.extend([format!("--name={INSTANCE}"), text(yaml)]),
    }
    let complaint = order(limactl, &start, START_SAID_MAX).await;
    match state(limactl).await {
        LimaState::Running { ssh_port } => Ok(ssh_port),
        seen @ (LimaState::Stopped | LimaState::Broken { .. } | LimaState::Unknown { .. }) => {
            Err(fault("start", &seen, complaint))
        }
    }
}

/// Puts what we want in the place of what Lima keeps: it reads its own copy at each start.
fn renew(yaml: &Path, directory: &Path) -> Result<(), GuestError> {
    let wanted = fs::read(yaml).map_err(GuestError::file("read", yaml))?;
    write_atomic(&directory.join("lima.yaml"), &wanted, 0o600)?;
    Ok(())
}

/// Stops the instance; by force, if Lima cannot do it otherwise or not in time.
///
/// # Errors
///
/// [`GuestError::Lima`] when it is not seen stopped afterwards.
async fn stop(limactl: &str) -> Result<(), GuestError> {
    if state(limactl).await == LimaState::Stopped {
        return Ok(());
    }
    let complaint = order(limactl, &["stop", INSTANCE], STOP_MAX).await;
    if state(limactl).await == LimaState::Stopped {
        return Ok(());
    }
    tracing::warn!(complaint, "the guest did not shut down, stopping it by force");
    force_stop(limactl).await
}

async fn force_stop(limactl: &str) -> Result<(), GuestError> {
    let complaint = order(limactl, &["stop", "-f", INSTANCE], FORCE_MAX).await;
    let seen = state(limactl).await;
    if seen == LimaState::Stopped {
        return Ok(());
    }
    Err(fault("stop", &seen, complaint))
}

/// Gives an order and waits for it to be carried out, or to be given up. What `limactl` has to
/// tell goes to our own log; what it comes to is returned if it was not well.
async fn order(limactl: &str, words: &[impl AsRef<str>], limit: Duration) -> Option<String> {
    let words = words.iter().map(|word| word.as_ref().to_owned());
    let status = Process::from(tool::process(&Command::new(limactl).arguments(words)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        // A signal to our group is for us.
        .process_group(0)
        .status();
    match timeout(limit, status).await {
        Ok(Ok(status)) => (!status.success()).then(|| format!("limactl ended with {status}")),
        Ok(Err(error)) => Some(format!("cannot run {limactl}: {error}")),
        Err(_) => Some(format!("limactl did not end within {} s", limit.as_secs())),
    }
}

fn fault(action: &'static str, seen: &LimaState, complaint: Option<String>) -> GuestError {
    let seen = match seen {
        LimaState::Running { .. } => "it runs".to_owned(),
        LimaState::Stopped => "it is stopped".to_owned(),
        LimaState::Broken { errors } => format!("it is broken: {}", errors.join("; ")),
        LimaState::Unknown { why } => why.clone(),
    };
    let what = match complaint {
        Some(complaint) => format!("{seen}; {complaint}"),
        None => seen,
    };
    GuestError::Lima { action, what }
}

#[cfg(test)]
mod tests;
