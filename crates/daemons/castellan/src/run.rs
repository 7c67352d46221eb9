//! The composition root: what castellan is made of, and what can keep it from starting.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sanctum_daemon::Shutdown;
use sanctum_host::{file, process};
use sanctum_model::manifest::ManifestError;
use sanctum_model::{Component, Manifest};
use sanctum_plan::capacity::Pool;
use sanctum_plan::{Layout, stack};
use sanctum_wire::Snapshot;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::control;
use crate::journal::now_ms;
use crate::keeper::{Keeper, Plan, room};
use crate::reaper::Reaper;

/// The time the control connections get at the end.
const GRACE: Duration = Duration::from_secs(2);

/// Descriptors castellan may have open.
const DESCRIPTORS_MAX: u64 = 65_536;

/// What castellan was told: where things are, and what to keep up.
#[derive(Debug)]
pub struct Config {
    layout: Layout,
    components: Vec<Component>,
    scope: Scope,
    manifest_sha256: String,
    manifest_fault: String,
    pool: Pool,
}

/// Which components of a manifest are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All: the system's own and those that are declared.
    All,
    /// Those that are declared, and castellan's own dead-man's switch.
    Declared,
}

/// What castellan is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To keep everything up until it is told to end.
    Keep,
    /// To stop what an earlier castellan left, and end.
    End,
}

impl Scope {
    /// What castellan has to be started with to keep these.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Declared => &["--only-declared"],
        }
    }

    pub(crate) fn components(self, manifest: &Manifest, layout: &Layout) -> Vec<Component> {
        match self {
            Self::All => stack::components(manifest, layout),
            Self::Declared => stack::declared_components(manifest, layout),
        }
    }
}

/// What keeps castellan from running.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A path is not text.
    #[error("`{path}` is not UTF-8: choose another directory", path = path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// Our own program's directory is not known.
    #[error("cannot tell which directory our programs are in")]
    Programs,
    /// The manifest cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The manifest is not one.
    #[error("cannot use `{path}`", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: ManifestError,
    },
    /// Another castellan keeps this state directory.
    #[error("another castellan keeps `{home}`")]
    Taken {
        /// The state directory.
        home: String,
    },
    /// The lock, the socket or the runtime cannot be had.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl RunError {
    /// The code castellan exits with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Path { .. } | Self::Programs | Self::System { .. } => 1,
            Self::Taken { .. } => 69,
            Self::Read { .. } | Self::Manifest { .. } => 78,
        }
    }
}

impl Config {
    /// Reads the manifest of the state directory and plans its components.
    ///
    /// # Errors
    ///
    /// When a path is not text or the manifest cannot be used.
    pub fn new(
        home: &Path,
        cache: &Path,
        programs: Option<&Path>,
        scope: Scope,
    ) -> Result<Self, RunError> {
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| RunError::Path { path: path.to_owned() })
        };
        let programs = text(programs.ok_or(RunError::Programs)?)?;
        let layout = Layout { home: text(home)?, cache: text(cache)?, programs };
        let path = PathBuf::from(layout.manifest());
        let manifest = match std::fs::read_to_string(&path) {
            Ok(manifest) => manifest,
            Err(source) => return Err(RunError::Read { path, source }),
        };
        let read = Manifest::parse(&manifest);
        let (manifest, text, manifest_fault) = match read {
            Ok(parsed) => (parsed, manifest, String::new()),
            // Somebody may be in the middle of a change: what worked goes on.
            Err(source) => match last_good(&layout) {
                Some((parsed, text)) => {
                    let fault = format!(
                        "`{}` cannot be used, the last good one is in force: {source}",
                        path.display()
                    );
                    (parsed, text, fault)
                }
                None => return Err(RunError::Manifest { path, source }),
            },
        };
        let manifest_sha256 = format!("{:x}", Sha256::digest(&text));
        let components = scope.components(&manifest, &layout);
        if manifest_fault.is_empty()
            && let Err(error) =
                file::write_atomic(Path::new(&layout.last_good()), text.as_bytes(), 0o600)
        {
            tracing::warn!(error = %sanctum_model::ErrorChain(&error), "cannot keep the manifest");
        }
        let pool = room::pool(manifest.memory());
        Ok(Self { layout, components, scope, manifest_sha256, manifest_fault, pool })
    }
}

fn last_good(layout: &Layout) -> Option<(Manifest, String)> {
    let text = std::fs::read_to_string(layout.last_good()).ok()?;
    Some((Manifest::parse(&text).ok()?, text))
}

/// Keeps the components until it is told to end, or ends them if it is started for that.
///
/// # Errors
///
/// When another castellan runs here, or the control socket cannot be had.
pub fn run(config: Config, aim: Aim) -> Result<(), RunError> {
    let _lock = lock(&config.layout)?;
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System { what: "start the runtime", source })?;
    let ended = runtime.block_on(keep(config, aim));
    // Threads that wait for children which the next castellan adopts must not hold this one.
    runtime.shutdown_background();
    ended
}

async fn keep(config: Config, aim: Aim) -> Result<(), RunError> {
    let Config { layout, components, scope, manifest_sha256, manifest_fault, pool } = config;
    process::collect_orphans();
    let reaper = Reaper::new()
        .map_err(|source| RunError::System { what: "listen to the ends of children", source })?;
    let listener = control::bind(Path::new(&layout.socket()))
        .map_err(|source| RunError::System { what: "listen on the control socket", source })?;
    let base = Snapshot {
        // After that of any castellan before, as long as the clock is not set back.
        generation: now_ms(),
        castellan_pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at_ms: now_ms(),
        manifest_path: layout.manifest(),
        manifest_sha256,
        findings: Vec::new(),
        memory: sanctum_wire::MemoryLedger::default(),
        components: Vec::new(),
    };
    let shutdown = Shutdown::default();
    let plan = Plan { components, layout, scope, base, manifest_fault, pool };
    let (keeper, handle) = Keeper::new(plan, shutdown.clone());
    shutdown.spawn(control::serve(listener, handle, shutdown.clone()));
    // The socket answers until the last component has ended: a stop can be watched.
    let told = CancellationToken::new();
    if aim == Aim::End {
        told.cancel();
    }
    let keeping = keeper.run(reaper, told.clone());
    tokio::pin!(keeping);
    tokio::select! {
        () = &mut keeping => {}
        heard = Shutdown::signalled() => {
            heard.map_err(|source| RunError::System { what: "listen to signals", source })?;
            told.cancel();
            tokio::select! {
                () = &mut keeping => {}
                Ok(()) = Shutdown::signalled() => {
                    tracing::warn!("told twice, leaving what is left to the next castellan");
                }
            }
        }
    }
    shutdown.drain(GRACE).await;
    Ok(())
}

/// Every component takes a few; what it inherits it may use.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum.map_or(Some(DESCRIPTORS_MAX), |it| Some(it.min(DESCRIPTORS_MAX)));
    setrlimit(Resource::Nofile, limit).ok();
}

/// The lock goes with the process, however it ends.
fn lock(layout: &Layout) -> Result<File, RunError> {
    let path = PathBuf::from(layout.run("castellan.lock"));
    let open = || {
        file::make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)
    };
    let lock =
        open().map_err(|source| RunError::System { what: "open castellan's lock", source })?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::Taken { home: layout.home.clone() }),
        Err(error) => Err(RunError::System { what: "take castellan's lock", source: error.into() }),
    }
}
