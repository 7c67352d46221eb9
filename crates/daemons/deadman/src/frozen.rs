//! Tombstones: castellan leaves one for each process group that it stops with SIGSTOP. When it is
//! dead or stale, nobody but us will wake them.

use std::fs;
use std::io;
use std::path::Path;

use crate::process::{Identity, Presence, has_marked_member};
use crate::tool;

/// Tombstones undone at once.
const TOMBSTONES_MAX: usize = 1024;

/// What became of one tombstone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thawed {
    pub(crate) what: &'static str,
    pub(crate) detail: String,
}

/// Wakes every group there is a tombstone for, and takes the tombstone away. One that cannot be
/// woken now keeps its tombstone.
pub(crate) fn thaw(directory: &Path, home: &Path) -> Vec<Thawed> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut thawed = Vec::new();
    for entry in entries.flatten().take(TOMBSTONES_MAX) {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let done = wake(&path, home);
        let removed = if done.is_ok() { fs::remove_file(&path) } else { Ok(()) };
        let (what, detail) = match (done, removed) {
            (Ok(Woken::Yes(pid)), Ok(())) => ("thawed", format!("{name}, group {pid}")),
            (Ok(Woken::Gone(why)), Ok(())) => ("tombstone", format!("{name}: {why}")),
            (Ok(Woken::Yes(_) | Woken::Gone(_)), Err(error)) | (Err(error), _) => {
                ("thaw-failed", format!("{name}: {error}"))
            }
        };
        thawed.push(Thawed { what, detail });
    }
    thawed
}

enum Woken {
    Yes(u32),
    /// There is nobody to wake.
    Gone(String),
}

fn wake(path: &Path, home: &Path) -> io::Result<Woken> {
    let text = fs::read_to_string(path)?;
    let Some(identity) = Identity::parse(&text) else {
        return Ok(Woken::Gone("it names no process".to_owned()));
    };
    let pid = identity.pid;
    match identity.presence() {
        Presence::Alive => identity.signal_group("CONT").map(|()| Woken::Yes(pid)),
        Presence::Unknown => Err(io::Error::other("it cannot be told from another")),
        // Its leader may have ended and left others in the group.
        Presence::Gone => {
            let mark = format!("SANCTUM_KEPT_BY={}", home.display());
            if has_marked_member(pid, &mark) {
                tool::signal("CONT", &format!("-{pid}")).map(|()| Woken::Yes(pid))
            } else {
                Ok(Woken::Gone(format!("pid {pid} is gone, or another's now")))
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::process::tests::identity;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};
    use std::thread;
    use std::time::{Duration, Instant};

    /// Whether the process is in this state within 10 s.
    fn is_in_state(child: &Child, state: &str) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stat = format!("/proc/{}/stat", child.id());
        let is = || fs::read_to_string(&stat).is_ok_and(|it| it.contains(&format!(") {state} ")));
        while !is() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        is()
    }

    #[test]
    fn what_was_stopped_is_woken_and_a_stranger_with_its_number_is_not() {
        let home = tempfile::tempdir().unwrap();
        let sleep = || Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let (mut own, mut stranger) = (sleep(), sleep());
        for child in [&own, &stranger] {
            identity(child).signal_group("STOP").unwrap();
            assert!(is_in_state(child, "T"));
        }
        let write = |name: &str, child: &Child, started: &str| {
            fs::write(home.path().join(name), format!("{} {started}\n", child.id())).unwrap();
        };
        write("own", &own, &identity(&own).started);
        write("other", &stranger, "1");
        fs::write(home.path().join("torn"), "12").unwrap();
        let mut words: Vec<&str> =
            thaw(home.path(), Path::new("/h")).into_iter().map(|it| it.what).collect();
        words.sort_unstable();
        assert_eq!(words, ["thawed", "tombstone", "tombstone"]);
        assert!(is_in_state(&own, "S"), "it was woken");
        assert!(is_in_state(&stranger, "T"), "a stranger was left alone");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        for child in [&mut own, &mut stranger] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
