//! One Sanctum of its own: a state directory, free ports, the real programs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::eprint_line;
use crate::tap::Tap;

/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The ports of this world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) seat: u16,
    pub(crate) proxyd: u16,
    pub(crate) openclaw: u16,
    pub(crate) ssh: u16,
}

/// A Sanctum under test.
pub(crate) struct World {
    programs: PathBuf,
    directory: Option<TempDir>,
    home: PathBuf,
    cache: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) tap: Tap,
    keep: bool,
}

impl World {
    pub(crate) fn new(programs: &Path, keep: bool) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("sanctum-system-").tempdir()?;
        let home = directory.path().join("home");
        let cache = std::env::var_os("SANCTUM_CACHE")
            .map(PathBuf::from)
            .context("SANCTUM_CACHE is not set")?;
        let ports = free_ports()?;
        let tap = Tap::to(ports.seat)?;
        let world = Self {
            programs: programs.to_owned(),
            directory: Some(directory),
            home,
            cache,
            ports,
            tap,
            keep,
        };
        world.write_manifest()?;
        Ok(world)
    }

    /// The route leads through the tap first, so that the very bytes of each turn are known.
    fn write_manifest(&self) -> Result<()> {
        let Ports { seat, proxyd, openclaw, ssh } = self.ports;
        let model = self.cache.join("test-model/model.gguf");
        let text = format!(
            "[guest]\nssh_port = {ssh}\n\n[openclaw]\nport = {openclaw}\nanswer_tokens_max = 400\n\n[proxyd]\nport = {proxyd}\n\n\
             [seat.general]\nmodel = \"{}\"\nport = {seat}\ntemperature = 0\nfrequency_penalty = 0.8\n\n\
             [provider.tap]\nbase_url = \"http://127.0.0.1:{}/v1\"\nkey = \"seat-general\"\n\n\
             [route]\ncouncil-brain = [\"tap/general\", \"general\"]\n",
            model.display(),
            self.tap.port()
        );
        fs::create_dir_all(&self.home)?;
        fs::write(self.home.join("sanctum.toml"), text)?;
        Ok(())
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The real CLI, in this world.
    pub(crate) fn sanctum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("sanctum"));
        command
            .args(arguments)
            .env("SANCTUM_HOME", &self.home)
            .env("SANCTUM_CACHE", &self.cache)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the CLI to its end; its words go with the error when it fails.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.sanctum(arguments).output()?;
        succeeded(&output).with_context(|| format!("sanctum {}", arguments.join(" ")))
    }

    /// Runs the CLI with its talk shown as it comes; it may take minutes.
    pub(crate) fn run_shown(&self, arguments: &[&str]) -> Result<String> {
        let child =
            self.sanctum(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "sanctum {} ended with {}",
            arguments.join(" "),
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a script as root inside the guest and gives back what it printed.
    pub(crate) fn in_guest(&self, script: &str) -> Result<String> {
        let mut child = self
            .sanctum(&["guest", "ssh", "bash", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("the script's pipe")?.write_all(script.as_bytes())?;
        succeeded(&child.wait_with_output()?).context("a script in the guest")
    }

    /// Asks the agent and gives back the whole answer as data. A model this small now and then
    /// begins with words that OpenClaw streams and then takes back, which it can only tell by an
    /// error: then, and only then, it is asked once more.
    pub(crate) fn ask(&self, question: &str) -> Result<Value> {
        let ask = || self.run(&["ask", "--json", "--patience", "900", question]);
        let printed = match ask() {
            Err(error) if format!("{error:#}").contains("append-only response stream") => {
                eprint_line("       OpenClaw took back what it had streamed: asked once more");
                ask()?
            }
            other => other?,
        };
        Ok(serde_json::from_str(&printed)?)
    }

    pub(crate) fn snapshot(&self) -> Result<Value> {
        // `status` exits with the worst component's code: its output counts here, not its code.
        let output = self.sanctum(&["status", "--json"]).output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("status said: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// One component's state.
    pub(crate) fn component(&self, name: &str) -> Result<Value> {
        let snapshot = self.snapshot()?;
        let states = snapshot["components"].as_array().context("components")?;
        let state = states.iter().find(|state| state["name"] == name).cloned();
        state.with_context(|| format!("there is no component `{name}`"))
    }

    pub(crate) fn pid(&self, name: &str) -> Result<u32> {
        let pid = self.component(name)?["pid"]
            .as_u64()
            .with_context(|| format!("`{name}` has no pid"))?;
        Ok(u32::try_from(pid)?)
    }

    /// Waits until `condition` holds.
    pub(crate) fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < limit {
            match condition(self) {
                Ok(true) => return Ok(started.elapsed()),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
            thread::sleep(LOOK_INTERVAL);
        }
        let why = last.map_or_else(String::new, |error| format!(" ({error:#})"));
        bail!("not within {} s: {what}{why}", limit.as_secs())
    }

    /// Waits until every component is ready again.
    pub(crate) fn wait_until_ready(&self, limit: Duration) -> Result<Duration> {
        self.wait_until("every component is ready", limit, |world| {
            let snapshot = world.snapshot()?;
            let states = snapshot["components"].as_array().context("components")?;
            // A task is there now and then.
            let stay = |state: &&Value| state["name"] != "sweep";
            Ok(states.iter().filter(stay).all(|state| state["phase"] == "ready"))
        })
    }

    /// The process groups of castellan and its children, from its own record.
    pub(crate) fn groups(&self) -> Result<BTreeSet<u32>> {
        let snapshot = self.snapshot()?;
        let castellan = snapshot["castellan_pid"].as_u64();
        let children = snapshot["components"]
            .as_array()
            .context("components")?
            .iter()
            .map(|state| state["pid"].as_u64());
        Ok(std::iter::once(castellan)
            .chain(children)
            .flatten()
            .filter_map(|pid| u32::try_from(pid).ok())
            .collect())
    }

    /// The text of a component's log, its older part included.
    pub(crate) fn log(&self, component: &str) -> String {
        let read = |name: String| fs::read(self.home.join("logs").join(name)).unwrap_or_default();
        let bytes = [read(format!("{component}.log.1")), read(format!("{component}.log"))].concat();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines of every log, for the reader of a failed run.
    pub(crate) fn show_logs(&self) {
        for name in [
            "castellan",
            "castellan-deadman",
            "sanctum-mlx",
            "proxyd",
            "guest",
            "umbilical",
            "openclaw",
        ] {
            let log = self.log(name);
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(25)..] {
                eprint_line(&format!("       {name} | {line}"));
            }
        }
    }

    /// Stops everything and removes the directory, unless told to keep it.
    pub(crate) fn end(&mut self) {
        drop(self.sanctum(&["down"]).output());
        if self.keep
            && let Some(directory) = self.directory.take()
        {
            eprint_line(&format!("kept: {}", directory.keep().display()));
        }
    }
}

fn succeeded(output: &Output) -> Result<String> {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}: {}{}", output.status, out.trim(), err.trim());
    Ok(out.into_owned())
}

/// Four different ports that were free a moment ago.
fn free_ports() -> Result<Ports> {
    let listeners: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        listeners.iter().map(|it| it.local_addr().map(|at| at.port())).collect::<Result<_, _>>()?;
    Ok(Ports { seat: ports[0], proxyd: ports[1], openclaw: ports[2], ssh: ports[3] })
}
