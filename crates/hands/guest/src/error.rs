//! What can go wrong with a guest, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use sanctum_host::file::WriteError;
use sanctum_plan::guest::{PatchError, RecipeError};
use sanctum_secrets::SecretError;

/// Why something about the guest cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Something with a file.
    #[error("cannot {action} `{path}`", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot keep what belongs to the guest")]
    Write(#[from] WriteError),
    /// A secret cannot be had.
    #[error("cannot give the guest its keys")]
    Secret(#[from] SecretError),
    /// The recipe cannot be used.
    #[error("cannot use the guest's recipe")]
    Recipe(#[from] RecipeError),
    /// A patch does not fit the agent's program.
    #[error("cannot patch the agent")]
    Patch(#[from] PatchError),
    /// There is no image for this processor.
    #[error("cannot make a guest for the processor `{arch}`: only x86_64 and aarch64 are known")]
    Arch {
        /// What this machine has.
        arch: &'static str,
    },
    /// A program is not installed.
    #[error("cannot find the program `{tool}`")]
    MissingTool {
        /// The program.
        tool: String,
        /// Debian's package of it.
        package: &'static str,
    },
    /// A program cannot be started or waited for.
    #[error("cannot run `{tool}`")]
    Tool {
        /// The program.
        tool: String,
        /// The cause.
        source: io::Error,
    },
    /// There is too little room.
    #[error(
        "cannot build the guest's image: it needs {needed_mib} MiB in `{path}` and there are {free_mib} MiB",
        path = path.display()
    )]
    Space {
        /// Where.
        path: PathBuf,
        /// What is needed, in MiB.
        needed_mib: u64,
        /// What is there, in MiB.
        free_mib: u64,
    },
    /// This user may not build.
    #[error(
        "cannot build the guest's image as this user: it has no user namespace with a range of ids"
    )]
    Namespace,
    /// An image cannot be built on this system.
    #[error("cannot build the guest's image on this system: it takes Linux")]
    BuildElsewhere,
    /// A step failed because something could not be reached.
    #[error("cannot {step}: the network or the server it needs is not there\n{tail}")]
    Network {
        /// The step.
        step: String,
        /// The last lines of the output.
        tail: String,
        /// All of it.
        log: PathBuf,
    },
    /// A step failed.
    #[error("cannot {step}: `{tool}` ended with {status}\n{tail}")]
    Step {
        /// The step.
        step: String,
        /// The program.
        tool: String,
        /// How it ended.
        status: String,
        /// The last lines of the output.
        tail: String,
        /// All of it.
        log: PathBuf,
    },
    /// What a program or a file says is not what it should.
    #[error("cannot understand {what}")]
    Unreadable {
        /// What it is.
        what: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The instance was made from an image that is gone.
    #[error("cannot start the guest: its disk `{disk}` needs the image {image}, which is gone or of another make", disk = disk.display())]
    ImageGone {
        /// The key of the image.
        image: String,
        /// The instance's disk.
        disk: PathBuf,
    },
    /// There is no instance.
    #[error("cannot find a guest in `{directory}`", directory = directory.display())]
    Absent {
        /// Where it would be.
        directory: PathBuf,
    },
    /// The guest runs.
    #[error("cannot do this while the guest runs (process {pid})")]
    Running {
        /// The emulator.
        pid: u32,
    },
    /// A socket's path is longer than the system allows.
    #[error("cannot use `{path}` as a socket: its path has {length} bytes, {length_max} are allowed", path = path.display())]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// How long it is.
        length: usize,
        /// How long it may be.
        length_max: usize,
    },
    /// KVM was asked for and does not work.
    #[error("cannot run the guest with KVM: {reason}")]
    Kvm {
        /// Why not.
        reason: String,
    },
    /// The emulator ended without being told to.
    #[error("the emulator ended by itself with {status}\n{tail}")]
    Died {
        /// How it ended.
        status: String,
        /// The last lines of the console.
        tail: String,
    },
    /// The emulator does not answer as it should.
    #[error("cannot speak with the emulator on `{socket}`: {what}", socket = socket.display())]
    Protocol {
        /// Its socket.
        socket: PathBuf,
        /// What it did.
        what: String,
    },
    /// A unit of the guest is not kept up any more, or the guest is not reached.
    #[error("cannot follow the unit `{unit}` of the guest: {what}")]
    Unit {
        /// The unit.
        unit: String,
        /// What was seen.
        what: String,
    },
    /// Lima does not do or say what it should.
    #[error("cannot {action} the guest with Lima: {what}")]
    Lima {
        /// What was tried.
        action: &'static str,
        /// What was seen.
        what: String,
    },
}

impl GuestError {
    /// What the reader can do, in one or two sentences.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingTool { package, .. } => {
                Some(format!("install it: sudo apt-get install {package}"))
            }
            Self::Space { .. } => Some(
                "free some space, or set SANCTUM_CACHE to a directory on a larger disk".to_owned(),
            ),
            Self::Namespace => Some(
                "install `uidmap` and give the user a range in /etc/subuid and /etc/subgid \
                 (sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER); where \
                 AppArmor forbids it, sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0; \
                 or build the image once as root"
                    .to_owned(),
            ),
            Self::BuildElsewhere => Some(
                "run `sanctum guest build` on Linux with the same processor, and copy the \
                 directory it prints to the same place in the cache here"
                    .to_owned(),
            ),
            Self::Network { log, .. } => Some(format!(
                "see whether this machine reaches its package servers, then run it again: what is \
                 done stays done. The whole output is in {}",
                log.display()
            )),
            Self::Step { log, .. } => {
                Some(format!("the whole output is in {}", log.display()))
            }
            Self::ImageGone { .. } => Some(
                "the agent's state is on this disk. `sanctum guest reset` puts the disk aside, \
                 without deleting it, and makes a new guest with an empty one"
                    .to_owned(),
            ),
            Self::Absent { .. } => Some("make one: sanctum up".to_owned()),
            Self::Running { .. } => Some("stop it first: sanctum guest stop".to_owned()),
            Self::SocketPath { .. } => {
                Some("set SANCTUM_HOME to a directory with a shorter path".to_owned())
            }
            Self::Kvm { .. } => Some(
                "set `accelerator = \"auto\"` in the manifest: it takes KVM where it works and \
                 emulation elsewhere"
                    .to_owned(),
            ),
            Self::File { .. }
            | Self::Write(_)
            | Self::Secret(_)
            | Self::Recipe(_)
            | Self::Patch(_)
            | Self::Arch { .. }
            | Self::Tool { .. }
            | Self::Unreadable { .. }
            | Self::Died { .. }
            | Self::Protocol { .. }
            | Self::Unit { .. }
            | Self::Lima { .. } => None,
        }
    }

    /// Wraps what happened to a file.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
