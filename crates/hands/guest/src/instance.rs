//! One guest's own things: its disk over the image, its identity, its configuration.
//!
//! The keys are made here and stay here; what the guest needs of them is packed into one tar that
//! the emulator hands in at each boot. Configuration is packed anew each time, state never is.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sanctum_host::file::{make_private_directory, write_atomic};
use sanctum_model::Command;
use sanctum_model::manifest::ToolProfile;
use sanctum_plan::guest::{
    Agent, LimaFile, authorized_keys_admin, authorized_keys_tunnel, known_hosts_line, openclaw_json,
};
use sanctum_plan::stack::{CALLER_SECRET, GATEWAY_SECRET};
use sanctum_secrets::{SecretName, Secrets};
use serde::{Deserialize, Serialize};

use super::image::{self, Image};
use super::{GuestError, GuestPaths, status, tool};

/// The version of `instance.json`.
const RECORD_VERSION: u32 = 1;
/// The longest path of a unix socket, one byte less than Linux's, which macOS has too.
const SOCKET_PATH_BYTES_MAX: usize = 103;
/// The agent's user and group in the image.
const AGENT_ID: u64 = 990;

/// What the manifest says about the agent and the way to it.
#[derive(Clone, Copy, Debug)]
pub struct InstanceSettings<'a> {
    /// The host port of the guest's sshd.
    pub ssh_port: u16,
    /// The model name the agent asks proxyd for.
    pub model: &'a str,
    /// How many tools it is told of.
    pub tools: ToolProfile,
    /// The context window of that model, in tokens.
    pub context_tokens: u32,
    /// The longest answer it asks for, in tokens.
    pub answer_tokens_max: u32,
}

/// `instance.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The shape of this file.
    pub version: u32,
    /// The key of the image that the disk lies over.
    pub image: String,
    /// The identity of the guest's system; not a secret.
    pub machine_id: String,
}

/// A file that the guest gets.
struct GuestFile {
    path: &'static str,
    mode: u32,
    owner: u64,
    content: String,
}

/// The image that the instance's disk lies over, if there is an instance.
///
/// An instance stays with its image while that is there, also when the recipe has changed: the
/// agent's state is on its disk.
///
/// # Errors
///
/// [`GuestError::ImageGone`] when there is a disk and no image for it.
pub fn image(paths: &GuestPaths, cache: &Path) -> Result<Option<Image>, GuestError> {
    let Some(record) = record(paths)? else { return Ok(None) };
    if !paths.disk().exists() {
        return Ok(None);
    }
    match image::by_key(cache, &record.image) {
        Some(image) => Ok(Some(image)),
        None => Err(GuestError::ImageGone { image: record.image, disk: paths.disk() }),
    }
}

/// Makes the instance, or brings its configuration up to date. Asked twice, it does it once.
///
/// # Errors
///
/// [`GuestError::ImageGone`] when the disk lies over another image than this one; else what
/// cannot be written or made.
pub fn prepare(
    paths: &GuestPaths,
    image: &Image,
    secrets: &Secrets,
    settings: &InstanceSettings<'_>,
) -> Result<InstanceRecord, GuestError> {
    make_identity(paths, settings.ssh_port)?;
    let record = make_disk(paths, image)?;
    let files = guest_files(paths, secrets, settings)?;
    write_atomic(&paths.instance_tar(), &pack(paths, &files)?, 0o600)?;
    Ok(record)
}

/// Makes the keys, if they are not there, and pins the guest's.
fn make_identity(paths: &GuestPaths, ssh_port: u16) -> Result<(), GuestError> {
    make_private_directory(paths.directory())
        .map_err(GuestError::file("make", paths.directory()))?;
    for socket in [paths.proof_socket(), paths.qmp_socket(), paths.guest_agent_socket()] {
        check_socket_path(&socket)?;
    }
    for key in [paths.host_key(), paths.tunnel_key(), paths.admin_key()] {
        make_key(&key)?;
    }
    let host_key = read(&public(&paths.host_key()))?;
    let pin = known_hosts_line(ssh_port, &host_key);
    write_atomic(&paths.known_hosts(), pin.as_bytes(), 0o600)?;
    Ok(())
}

/// Makes the identity alone, and the same files for Lima to hand in.
///
/// # Errors
///
/// As [`prepare`].
pub fn lima_files(
    paths: &GuestPaths,
    secrets: &Secrets,
    settings: &InstanceSettings<'_>,
) -> Result<Vec<LimaFile>, GuestError> {
    make_identity(paths, settings.ssh_port)?;
    let owner = |id| if id == AGENT_ID { "openclaw:openclaw" } else { "root:root" };
    let files = guest_files(paths, secrets, settings)?;
    Ok(files
        .into_iter()
        .map(|file| LimaFile {
            path: format!("/{}", file.path),
            content: file.content,
            owner: owner(file.owner).to_owned(),
            mode: format!("{:o}", file.mode),
        })
        .collect())
}

/// Puts the instance's disk aside, so that the next start makes an empty one. Nothing is deleted:
/// the path of the old disk is returned, if there was one.
///
/// # Errors
///
/// [`GuestError::Running`] while the emulator runs.
pub fn reset(paths: &GuestPaths) -> Result<Option<PathBuf>, GuestError> {
    if let Some(run) = status::running(paths) {
        return Err(GuestError::Running { pid: run });
    }
    if !paths.disk().exists() {
        return Ok(None);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let aside = paths.directory().join(format!("disk-{}.qcow2", now.as_secs()));
    fs::rename(paths.disk(), &aside).map_err(GuestError::file("put aside", &paths.disk()))?;
    Ok(Some(aside))
}

/// What is known about the instance, if there is one.
///
/// # Errors
///
/// When its record cannot be read.
pub fn record(paths: &GuestPaths) -> Result<Option<InstanceRecord>, GuestError> {
    let path = paths.record();
    if !path.exists() {
        return Ok(None);
    }
    let text = read(&path)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|source| GuestError::Unreadable { what: format!("`{}`", path.display()), source })
}

fn make_disk(paths: &GuestPaths, image: &Image) -> Result<InstanceRecord, GuestError> {
    if let Some(record) = record(paths)?
        && paths.disk().exists()
    {
        if record.image == image.key {
            return Ok(record);
        }
        return Err(GuestError::ImageGone { image: record.image, disk: paths.disk() });
    }
    let record = InstanceRecord {
        version: RECORD_VERSION,
        image: image.key.clone(),
        machine_id: random_id()?,
    };
    let beside = paths.directory().join("disk.new.qcow2");
    drop(fs::remove_file(&beside));
    let create = Command::new("qemu-img")
        .arguments(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .argument(image.disk().to_string_lossy())
        .argument(beside.to_string_lossy());
    tool::require("qemu-img", "qemu-utils")?;
    tool::output(&create)?;
    set_private(&beside)?;
    // The record first: a disk without one would be taken for a disk of unknown make.
    let text = serde_json::to_string_pretty(&record).unwrap_or_default() + "\n";
    write_atomic(&paths.record(), text.as_bytes(), 0o600)?;
    fs::rename(&beside, paths.disk()).map_err(GuestError::file("rename", &beside))?;
    Ok(record)
}

fn guest_files(
    paths: &GuestPaths,
    secrets: &Secrets,
    settings: &InstanceSettings<'_>,
) -> Result<Vec<GuestFile>, GuestError> {
    let gateway_token = secrets.read_or_mint(&secret(GATEWAY_SECRET))?;
    let caller_key = secrets.read_or_mint(&secret(CALLER_SECRET))?;
    let agent = openclaw_json(&Agent {
        gateway_token: gateway_token.expose(),
        caller_key: caller_key.expose(),
        model: settings.model,
        tools: settings.tools,
        context_tokens: settings.context_tokens,
        answer_tokens_max: settings.answer_tokens_max,
    });
    let of_root = |path, mode, content| GuestFile { path, mode, owner: 0, content };
    Ok(vec![
        of_root("etc/sanctum/ssh_host_ed25519_key", 0o600, read(&paths.host_key())?),
        of_root(
            "etc/sanctum/authorized_keys.d/sanctum",
            0o644,
            authorized_keys_tunnel(&read(&public(&paths.tunnel_key()))?),
        ),
        of_root(
            "etc/sanctum/authorized_keys.d/root",
            0o644,
            authorized_keys_admin(&read(&public(&paths.admin_key()))?),
        ),
        GuestFile {
            path: "var/lib/openclaw/openclaw.json",
            mode: 0o600,
            owner: AGENT_ID,
            content: agent,
        },
    ])
}

fn pack(paths: &GuestPaths, files: &[GuestFile]) -> Result<Vec<u8>, GuestError> {
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.owner);
        header.set_gid(file.owner);
        header.set_mtime(0);
        tar.append_data(&mut header, file.path, file.content.as_bytes())
            .map_err(GuestError::file("pack", &paths.instance_tar()))?;
    }
    tar.into_inner().map_err(GuestError::file("pack", &paths.instance_tar()))
}

/// Makes a key pair, if it is not there: beside, then renamed, the private half last.
fn make_key(path: &Path) -> Result<(), GuestError> {
    if path.exists() {
        return Ok(());
    }
    tool::require("ssh-keygen", "openssh-client")?;
    let beside = path.with_extension("new");
    drop(fs::remove_file(&beside));
    drop(fs::remove_file(public(&beside)));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let keygen = Command::new("ssh-keygen")
        .arguments(["-q", "-t", "ed25519", "-N", "", "-C"])
        .argument(format!("sanctum-{name}"))
        .argument("-f")
        .argument(beside.to_string_lossy());
    tool::output(&keygen)?;
    fs::rename(public(&beside), public(path)).map_err(GuestError::file("rename", &beside))?;
    fs::rename(&beside, path).map_err(GuestError::file("rename", &beside))
}

fn public(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn check_socket_path(path: &Path) -> Result<(), GuestError> {
    let length = path.as_os_str().len();
    if length <= SOCKET_PATH_BYTES_MAX {
        return Ok(());
    }
    let path = path.to_owned();
    Err(GuestError::SocketPath { path, length, length_max: SOCKET_PATH_BYTES_MAX })
}

fn random_id() -> Result<String, GuestError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(GuestError::file("read", path))?;
    Ok(super::hexadecimal(&bytes))
}

fn set_private(path: &Path) -> Result<(), GuestError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(GuestError::file("protect", path))
}

fn read(path: &Path) -> Result<String, GuestError> {
    fs::read_to_string(path).map_err(GuestError::file("read", path))
}

fn secret(name: &str) -> SecretName {
    name.parse().expect("our own names are well formed")
}

#[cfg(test)]
mod tests;
