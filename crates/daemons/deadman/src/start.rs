//! Starting castellan so that it is not a descendant of ours: an instance of this program starts
//! it and ends at once, and castellan belongs to nobody. So whoever stops the deadman with all
//! that it has started does not stop castellan.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::journal::make_private_directory;
use crate::lease::Lease;
use crate::tool;

/// The first argument of the instance in between.
pub(crate) const LAUNCH: &str = "--launch";
/// How long the instance in between may take.
const LAUNCH_MAX: Duration = Duration::from_secs(5);
/// What castellan gave us and must not get back: it would take itself for one of its own children.
const OURS: [&str; 6] = [
    "SANCTUM_KEPT_BY",
    "SANCTUM_COMPONENT",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "SANCTUM_PAGE_ID",
];

/// Starts castellan as its lease says, and gives its process id.
///
/// # Errors
///
/// When it cannot be started. That it could be says nothing of how it fares.
pub(crate) fn start(lease: &Lease, log: &Path) -> io::Result<u32> {
    let program = program(lease)?;
    let mut launch = Command::new(own_program()?);
    launch.arg(LAUNCH).arg(log).arg(program).arg("--own-session").args(&lease.arguments);
    for name in OURS {
        launch.env_remove(name);
    }
    launch.env("SANCTUM_HOME", &lease.home).env("SANCTUM_CACHE", &lease.cache).current_dir("/");
    let said = tool::run(&mut launch, "", LAUNCH_MAX)?.success()?;
    said.trim()
        .parse()
        .map_err(|_| io::Error::other(format!("no process id: {}", tool::clip(&said))))
}

/// The instance in between: `LOG PROGRAM ARGUMENT…`. It says the process id and ends.
pub(crate) fn launch(arguments: &[OsString]) -> ExitCode {
    let done = launched(arguments).and_then(|pid| writeln!(io::stdout(), "{pid}"));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn launched(arguments: &[OsString]) -> io::Result<u32> {
    let [log, program, arguments @ ..] = arguments else {
        return Err(io::Error::other("it is not told what to start"));
    };
    let log = Path::new(log);
    make_private_directory(log.parent().unwrap_or(Path::new("/")))?;
    leave_control_group();
    let output = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()?;
    Ok(child.id())
}

/// A component may be in a control group of its own, which ends with it and all that it started.
/// What is in the way of leaving it is left in the way: castellan is better there than nowhere.
fn leave_control_group() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (own, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
    if let Some(above) = above_components(&own, &mounts) {
        // 0 is who writes.
        fs::write(above.join("cgroup.procs"), "0").ok();
    }
}

/// The control group above those of a castellan's components, `…/sanctum-HASH/NAME`, if we are in
/// one of them.
fn above_components(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    let is_ours = |group: &&Path| {
        let name = group.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("sanctum-"))
    };
    let above = path.ancestors().find(is_ours)?.parent()?;
    mounts.lines().filter(|line| line.contains(" - cgroup2 ")).find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        Some(Path::new(point).join(above.strip_prefix(root).ok()?))
    })
}

/// The program of the lease or, where that is gone, the one beside ours.
fn program(lease: &Lease) -> io::Result<PathBuf> {
    let named = PathBuf::from(&lease.program);
    if !named.is_absolute() {
        return Err(io::Error::other(format!("`{}` is not an absolute path", lease.program)));
    }
    if named.exists() {
        return Ok(named);
    }
    let beside = std::env::current_exe()?.with_file_name("castellan");
    Ok(if beside.exists() { beside } else { named })
}

/// On Linux, the file we run from, even if another has taken its place since.
fn own_program() -> io::Result<PathBuf> {
    let linux = PathBuf::from("/proc/self/exe");
    if linux.exists() { Ok(linux) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_above_a_component_is_where_castellan_belongs() {
        let mounts = "31 24 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        let deadman = "0::/user.slice/sanctum-0123456789abcdef/deadman\n";
        let above = Some(PathBuf::from("/sys/fs/cgroup/user.slice"));
        assert_eq!(above_components(deadman, mounts), above);
        assert_eq!(above_components("0::/user.slice\n", mounts), None);
        assert_eq!(above_components("1:memory:/x\n", mounts), None);
        let part = "31 24 0:27 /user.slice /cg rw - cgroup2 cgroup2 rw\n";
        assert_eq!(above_components(deadman, part), Some(PathBuf::from("/cg/")));
    }
}
