//! What the kernel says of processes.

use std::{fmt, fs};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use sanctum_host::process::Identity;

/// A line of descent is not followed further than this.
const GENERATIONS_MAX: usize = 64;

/// One process, as `/proc` tells of it.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) state: String,
    pub(crate) name: String,
    /// Whose component it says it is.
    pub(crate) component: Option<String>,
    /// Which state directory it says it is kept by.
    pub(crate) kept_by: Option<String>,
}

impl fmt::Debug for Process {
    /// On one line: there may be many.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, parent, state, name, component, .. } = self;
        let component = component.as_deref().unwrap_or("-");
        write!(formatter, "{pid} {name} {state} of {component}, child of {parent}")
    }
}

/// Every process of the machine.
pub(crate) fn everyone() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.to_owned();
    let parent = fields.next()?.parse().ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variable = |name: &str| {
        let mut variables = environment.split(|byte| *byte == 0);
        let found = variables.find_map(|pair| pair.strip_prefix(name.as_bytes()))?;
        String::from_utf8(found.to_vec()).ok()
    };
    Some(Process {
        pid,
        parent,
        state,
        name: head.split_once('(')?.1.to_owned(),
        component: variable("SANCTUM_COMPONENT="),
        kept_by: variable("SANCTUM_KEPT_BY="),
    })
}

/// Whether `process` is `root` or comes from it.
pub(crate) fn comes_from(everyone: &[Process], process: u32, root: u32) -> bool {
    let mut pid = process;
    for _ in 0..GENERATIONS_MAX {
        if pid == root {
            return true;
        }
        let Some(found) = everyone.iter().find(|other| other.pid == pid) else { return false };
        pid = found.parent;
    }
    false
}

pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let children = everyone().into_iter().filter(|other| other.parent == pid);
    children.map(|child| child.pid).collect()
}

pub(crate) fn descriptors_of(pid: u32) -> Result<usize> {
    let directory = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&directory).with_context(|| format!("cannot read `{directory}`"))?.count())
}

/// Signals a process if it still is that one.
pub(crate) fn send(process: &Identity, signal: Signal) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    if let (Some(pid), true) = (pid, process.is_alive()) {
        kill_process(pid, signal).ok();
    }
}
