//! The castellan that is hurt, its state directory, and what is asked of both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use sanctum_host::process::{Identity, clear_group};
use sanctum_wire::{Client, PhaseName, Snapshot};
use tempfile::TempDir;

use crate::fleet;
use crate::look::{self, Process};

/// How often an awaited condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The longest until a castellan answers.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The longest until a castellan that is told to end has ended.
const END_MAX: Duration = Duration::from_mins(1);

pub(crate) struct Keep {
    directory: TempDir,
    program: PathBuf,
    /// The one that was started last.
    castellan: Option<Child>,
}

impl Keep {
    pub(crate) fn build(programs: &Path, count: usize, life: Duration) -> Result<Self> {
        let programs = programs.canonicalize().context("cannot find `--programs`")?;
        let directory = tempfile::Builder::new().prefix("soak-").tempdir()?;
        let keep = Self { directory, program: programs.join("castellan"), castellan: None };
        fs::create_dir(keep.home())?;
        fs::set_permissions(keep.home(), fs::Permissions::from_mode(0o700))?;
        let manifest = fleet::manifest(&programs.join("troublemaker"), count, life)?;
        fs::write(keep.home().join("sanctum.toml"), manifest)?;
        Ok(keep)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Starts a castellan and waits until it, or another one, answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = self.directory.path().join("castellan.log");
        let log = fs::OpenOptions::new().append(true).create(true).open(log)?;
        let child = Command::new(&self.program)
            .arg("--home")
            .arg(self.home())
            .arg("--cache")
            .arg(self.directory.path().join("cache"))
            .arg("--only-declared")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start castellan")?;
        self.castellan = Some(child);
        let deadline = Instant::now() + ANSWER_MAX;
        while let Err(error) = self.snapshot() {
            ensure!(Instant::now() < deadline, "castellan does not answer: {error:#}");
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let client = Client::new(self.home().join("run/castellan.sock"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(client.snapshot())?)
    }

    /// The process that answers.
    pub(crate) fn castellan(&self) -> Result<u32> {
        Ok(self.snapshot()?.castellan_pid)
    }

    /// Components that run, with their processes.
    pub(crate) fn living(&self) -> Result<Vec<(String, u32)>> {
        let states = self.snapshot()?.components.into_iter();
        Ok(states.filter_map(|state| Some((state.name, state.pid?))).collect())
    }

    /// Waits until every component is ready and its process is there.
    pub(crate) fn wait_until_whole(&self, time_max: Duration) -> Result<String> {
        let began = Instant::now();
        loop {
            let states = self.snapshot()?.components;
            let not_so: Vec<_> = states
                .iter()
                .filter(|state| {
                    let is_there = state.pid.and_then(Identity::of).is_some();
                    state.phase != PhaseName::Ready || !is_there
                })
                .map(|state| format!("{} {}: {}", state.name, state.phase, state.note))
                .collect();
            if not_so.is_empty() {
                let seconds = began.elapsed().as_secs_f64();
                return Ok(format!("{} after {seconds:.1} s", states.len()));
            }
            if began.elapsed() > time_max {
                bail!("not after {time_max:?}: {not_so:#?}");
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Kills castellan and starts another one. Components that were not hurt and yet run as
    /// another process now.
    pub(crate) fn replace_castellan(&mut self, absence: Duration) -> Result<Vec<String>> {
        let before = self.living()?;
        if let Some(castellan) = Identity::of(self.castellan()?) {
            look::send(&castellan, Signal::KILL);
            castellan.wait_for_end();
        }
        self.collect();
        let alive: Vec<_> =
            before.into_iter().filter(|(_, pid)| Identity::of(*pid).is_some()).collect();
        thread::sleep(absence);
        let whole: Vec<_> =
            alive.into_iter().filter(|(_, pid)| Identity::of(*pid).is_some()).collect();
        self.start()?;
        let after = self.living()?;
        let lost = whole.into_iter().filter(|kept| !after.contains(kept));
        Ok(lost.map(|(name, pid)| format!("{name} {pid}")).collect())
    }

    /// Collects what was started here and has ended.
    fn collect(&mut self) {
        if let Some(castellan) = &mut self.castellan {
            castellan.try_wait().ok();
        }
    }

    /// The dead-man's switch that watches this castellan.
    pub(crate) fn deadman(&self) -> Option<Identity> {
        let mine = |process: &Process| {
            let words = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let home = self.home().to_string_lossy().into_owned();
            process.name.starts_with("castellan-dead")
                && (process.kept_by.as_deref() == Some(&home)
                    || String::from_utf8_lossy(&words).contains(&home))
        };
        let deadman = look::everyone().into_iter().find(mine)?;
        Identity::of(deadman.pid)
    }

    /// All that carries our mark.
    fn marked(&self) -> Vec<Process> {
        let home = self.home().to_string_lossy().into_owned();
        let ours = |process: &Process| {
            process.kept_by.as_deref() == Some(&home) && process.component.is_some()
        };
        look::everyone().into_iter().filter(ours).collect()
    }

    pub(crate) fn orphans(&self) -> Result<String> {
        let living = self.living()?;
        let everyone = look::everyone();
        let is_owned = |process: &Process| {
            living.iter().any(|(name, root)| {
                process.component.as_deref() == Some(name)
                    && (look::comes_from(&everyone, process.pid, *root)
                        || was_let_go(process.pid, *root))
            })
        };
        let marked = self.marked();
        let orphans: Vec<_> = marked.iter().filter(|process| !is_owned(process)).collect();
        // One that was started since is none: it must still be there, and still be nobody's.
        let again = self.marked();
        let orphans: Vec<_> =
            orphans.into_iter().filter(|one| again.iter().any(|two| one.pid == two.pid)).collect();
        ensure!(orphans.is_empty(), "{orphans:#?}");
        ensure!(marked.len() >= living.len(), "{} carry our mark", marked.len());
        Ok(format!("{} processes, each of a component", marked.len()))
    }

    pub(crate) fn zombies(&self) -> Result<String> {
        let castellan = self.castellan()?;
        let zombies = || -> Vec<Process> {
            let everyone = look::everyone();
            let ours = |process: &&Process| {
                process.state == "Z" && look::comes_from(&everyone, process.pid, castellan)
            };
            everyone.iter().filter(ours).cloned().collect()
        };
        let first = zombies();
        thread::sleep(LOOK_INTERVAL * 4);
        let left: Vec<_> = zombies()
            .into_iter()
            .filter(|one| first.iter().any(|two| one.pid == two.pid))
            .collect();
        ensure!(left.is_empty(), "{left:#?}");
        Ok("none".to_owned())
    }

    /// Tells castellan to end; nothing that carries our mark may be left.
    pub(crate) fn end(&mut self) -> Result<String> {
        let castellan = Identity::of(self.castellan()?).context("castellan is gone")?;
        let began = Instant::now();
        look::send(&castellan, Signal::TERM);
        while castellan.is_alive() {
            ensure!(began.elapsed() < END_MAX, "it does not end");
            self.collect();
            thread::sleep(LOOK_INTERVAL);
        }
        let left = self.marked();
        ensure!(left.is_empty(), "{left:#?}");
        Ok(format!("after {:.1} s", began.elapsed().as_secs_f64()))
    }

    /// Keeps the directory for whoever wants to know.
    pub(crate) fn retain(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}

impl Drop for Keep {
    /// Nothing outlives the soak, whatever went wrong.
    fn drop(&mut self) {
        // The switch first, or it starts another castellan; and again, for the one that castellan
        // started meanwhile.
        let castellan = self.castellan().ok().and_then(Identity::of);
        for process in [self.deadman(), castellan].into_iter().flatten() {
            look::send(&process, Signal::KILL);
        }
        if let Some(mut castellan) = self.castellan.take() {
            castellan.kill().ok();
            castellan.wait().ok();
        }
        if let Some(process) = self.deadman() {
            look::send(&process, Signal::KILL);
        }
        for process in self.marked() {
            clear_group(process.pid);
            if let Some(left) = Identity::of(process.pid) {
                look::send(&left, Signal::KILL);
            }
        }
    }
}

/// Whether who led from a component to this process has ended, and not the component: it was started
/// since the component was, and ends with it.
fn was_let_go(pid: u32, root: u32) -> bool {
    let started = |pid: u32| Identity::of(pid)?.started.parse::<u64>().ok();
    started(pid) >= started(root).or(Some(u64::MAX))
}
