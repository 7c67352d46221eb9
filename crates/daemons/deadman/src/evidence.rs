//! What can be seen of a castellan that does not work, saved before anything is done about it.
//!
//! Bounded in bytes, files and time; never the environment of a process, which may hold secrets.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::journal::make_private_directory;
use crate::place::Place;
use crate::process::{Identity, Presence};
use crate::tool;

/// Sets of evidence that are kept.
const SETS_MAX: usize = 10;
/// One file of a set.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Threads and descriptors of castellan that are looked at.
const TASKS_MAX: usize = 64;
const DESCRIPTORS_MAX: usize = 512;
/// What is kept of the journal and of castellan's log.
const JOURNAL_LINES: usize = 50;
const LOG_LINES: usize = 200;
/// Castellan is not left hanging for longer than this for the sake of evidence. Reading about a
/// process that hangs in the kernel can hang too.
const COLLECT_MAX: Duration = Duration::from_secs(10);
/// How long a tool of the system may take.
const TOOL_MAX: Duration = Duration::from_secs(5);

const OF_PROCESS: [&str; 11] = [
    "status",
    "stat",
    "stack",
    "wchan",
    "syscall",
    "io",
    "limits",
    "cmdline",
    "cgroup",
    "sched",
    "schedstat",
];
const OF_TASK: [&str; 5] = ["comm", "stat", "stack", "wchan", "syscall"];
const OF_MACHINE: [&str; 8] = [
    "loadavg",
    "meminfo",
    "uptime",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
    "mounts",
    "locks",
];

/// Saves what can be seen, and gives the directory. What takes too long is left to itself.
///
/// # Errors
///
/// When nothing can be written, or it has taken too long: then the directory has what there was.
pub(crate) fn capture(place: &Place, of: &Identity, reason: &str) -> io::Result<PathBuf> {
    let directory = begin(place)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let (to, place, of, reason) = (directory.clone(), place.clone(), of.clone(), reason.to_owned());
    thread::spawn(move || sender.send(collect(&to, &place, &of, &reason)).ok());
    match receiver.recv_timeout(COLLECT_MAX) {
        Ok(collected) => collected.map(|()| directory),
        Err(_) => Err(io::Error::other(format!(
            "it takes too long; what there is is in `{}`",
            directory.display()
        ))),
    }
}

/// The newest set there is.
pub(crate) fn newest(own: &Path) -> Option<PathBuf> {
    sets(own).pop()
}

/// The last lines of a file, at most so many.
pub(crate) fn tail(path: &Path, lines_max: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(FILE_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(lines_max);
    Ok(lines[from..].join("\n"))
}

fn begin(place: &Place) -> io::Result<PathBuf> {
    make_private_directory(&place.own())?;
    forget_oldest(&place.own());
    loop {
        let now_ms = clock::wall_ms();
        let name = format!("evidence-{}-{:03}", clock::stamp(now_ms), now_ms % 1000);
        let directory = place.own().join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes room for one more. Only what bears our name for it is taken away.
fn forget_oldest(own: &Path) {
    let sets = sets(own);
    let surplus = (sets.len() + 1).saturating_sub(SETS_MAX);
    for set in &sets[..surplus] {
        fs::remove_dir_all(set).ok();
    }
}

/// The oldest first.
fn sets(own: &Path) -> Vec<PathBuf> {
    let is_set = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let moment = name.strip_prefix("evidence-").unwrap_or_default();
        moment.starts_with(|c: char| c.is_ascii_digit())
            && path.symlink_metadata().is_ok_and(|about| about.is_dir())
    };
    entries(own).into_iter().filter(is_set).collect()
}

fn collect(to: &Path, place: &Place, of: &Identity, reason: &str) -> io::Result<()> {
    write(to, "reason", &format!("{reason}\n"))?;
    copy(to, "lease", &place.lease())?;
    write(to, "events.jsonl", &said(tail(&place.chitti(), JOURNAL_LINES)))?;
    write(to, "castellan.log", &said(tail(&place.castellan_log(), LOG_LINES)))?;
    write(to, "children", &list(&place.children()))?;
    write(to, "frozen", &list(&place.frozen()))?;
    if cfg!(target_os = "linux") {
        for name in OF_MACHINE {
            copy(
                to,
                &format!("machine-{}", name.replace('/', "-")),
                &Path::new("/proc").join(name),
            )?;
        }
    } else {
        tool(to, "vm_stat", "/usr/bin/vm_stat", &[])?;
        tool(to, "uptime", "/usr/bin/uptime", &[])?;
    }
    if of.presence() != Presence::Alive {
        return write(to, "process", &format!("pid {} is not there\n", of.pid));
    }
    if cfg!(target_os = "linux") { collect_proc(to, of.pid) } else { collect_tools(to, of.pid) }
}

fn collect_proc(to: &Path, pid: u32) -> io::Result<()> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    for name in OF_PROCESS {
        copy(to, &format!("process-{name}"), &process.join(name))?;
    }
    write(to, "process-descriptors", &descriptors(&process.join("fd")))?;
    let mut tasks = String::new();
    for task in entries(&process.join("task")).iter().take(TASKS_MAX) {
        for name in OF_TASK {
            let text = said(read(&task.join(name)));
            writeln!(tasks, "== {} {name}\n{}", task.display(), text.trim_end()).ok();
        }
    }
    write(to, "tasks", &tasks)
}

/// macOS has no `/proc`, and a sampler.
fn collect_tools(to: &Path, pid: u32) -> io::Result<()> {
    let pid = pid.to_string();
    tool(to, "sample", "/usr/bin/sample", &[&pid, "1"])?;
    tool(to, "ps", "/bin/ps", &["-M", "-o", "pid,ppid,pgid,stat,lstart,rss,command", "-p", &pid])?;
    tool(to, "lsof", "/usr/sbin/lsof", &["-n", "-P", "-p", &pid])
}

fn tool(to: &Path, name: &str, program: &str, arguments: &[&str]) -> io::Result<()> {
    let run = tool::run(Command::new(program).args(arguments), "", TOOL_MAX);
    write(to, name, &said(run.map(|finished| format!("{}{}", finished.output, finished.errors))))
}

fn descriptors(directory: &Path) -> String {
    let links = entries(directory);
    let mut text = format!("{} open\n", links.len());
    for link in links.iter().take(DESCRIPTORS_MAX) {
        let number = link.file_name().unwrap_or_default().display();
        let target = fs::read_link(link).map(|target| target.display().to_string());
        writeln!(text, "{number} {}", said(target)).ok();
    }
    text
}

fn list(directory: &Path) -> String {
    entries(directory).iter().fold(String::new(), |mut text, path| {
        let name = path.file_name().unwrap_or_default().display();
        writeln!(text, "{name} {}", said(read(path)).trim_end().replace('\n', " ")).ok();
        text
    })
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().take(4096).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn copy(to: &Path, name: &str, from: &Path) -> io::Result<()> {
    write(to, name, &said(read(from)))
}

fn read(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

/// That something cannot be seen is evidence too.
fn said(text: io::Result<String>) -> String {
    text.unwrap_or_else(|error| format!("cannot be read: {error}"))
}

fn write(to: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut end = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to.join(name))?;
    file.write_all(&text.as_bytes()[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let home = tempfile::tempdir().unwrap();
        let place = Place { home: home.path().to_owned() };
        (home, place)
    }

    #[test]
    fn evidence_of_a_living_process_has_its_threads_and_not_its_environment() {
        let (_home, place) = place();
        let secret = "A-SECRET-IN-THE-ENVIRONMENT";
        let mut child = Command::new("sleep").arg("60").env("KEY", secret).spawn().unwrap();
        let of = crate::process::tests::identity(&child);
        let directory = capture(&place, &of, "it hangs").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        for path in entries(&directory) {
            assert!(!read(&path).unwrap().contains(secret), "{}", path.display());
        }
        assert_eq!(read(&directory.join("reason")).unwrap(), "it hangs\n");
        if cfg!(target_os = "linux") {
            assert!(read(&directory.join("process-status")).unwrap().contains("State:"));
            assert!(read(&directory.join("tasks")).unwrap().contains("sleep"));
            assert!(read(&directory.join("process-descriptors")).unwrap().contains("open"));
        }
    }

    #[test]
    fn the_newest_sets_are_kept_and_nothing_else_is_touched() {
        let (_home, place) = place();
        fs::create_dir_all(place.own().join("evidence-of-a-person")).unwrap();
        fs::create_dir_all(place.outbox()).unwrap();
        let of = Identity { pid: 999_999, started: "1".to_owned() };
        let sets: Vec<PathBuf> =
            (0..12).map(|_| capture(&place, &of, "it is dead").unwrap()).collect();
        let there = |set: &&PathBuf| set.exists();
        assert!(sets.last().unwrap().exists() && place.outbox().exists());
        assert!(place.own().join("evidence-of-a-person").exists());
        assert_eq!(sets.iter().filter(there).count(), SETS_MAX);
        assert!(!sets[1].exists() && sets[2].exists(), "the oldest went first");
    }

    #[test]
    fn only_the_end_of_a_long_file_is_kept() {
        let (home, _) = place();
        let path = home.path().join("log");
        let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(tail(&path, 2).unwrap(), "line 19998\nline 19999");
        assert!(read(&path).unwrap().len() as u64 <= FILE_BYTES_MAX);
        assert!(tail(&home.path().join("none"), 2).is_err());
    }
}
