//! Control groups: where the kernel itself holds a component to its memory and knows all its
//! processes, whatever they did to leave their group.
//!
//! Everything here is best effort. Where it cannot be had, which is everywhere but on a Linux whose
//! version 2 hierarchy we may write to, the answer is [`Outcome::NotHere`] and says why.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a component's own control group is given before it is stopped, above its declared peak: a
/// tenth. At the peak itself it is only slowed.
const MAX_ABOVE_PEAK_PART: u64 = 10;
/// The score of a component that is worth nothing: that much of the machine's memory, in
/// thousandths, is added to what it takes when the kernel looks for one to kill.
const OOM_SCORE_MAX: u32 = 500;
/// The worth of the most worthy.
const PRIORITY_MAX: u8 = 100;
/// More than this is no limit: version 1 writes a huge number where there is none.
const LIMIT_BYTES_MAX: u64 = 1 << 60;

/// Whether the kernel does what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Done,
    /// It cannot here, for this reason.
    NotHere(String),
}

/// The part of the hierarchy that holds all components of one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    directory: PathBuf,
    memory: Outcome,
}

/// One component's control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    directory: PathBuf,
}

impl Hierarchy {
    /// Makes, or finds again, the place for the components of `home`, below our own control group.
    ///
    /// # Errors
    ///
    /// The reason why there can be none.
    pub fn make(home: &Path) -> Result<Self, String> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))
        };
        let (mounts, own) = (read("/proc/self/mountinfo")?, read("/proc/self/cgroup")?);
        let parent = own_directory(&mounts, &own)
            .ok_or_else(|| "there is no hierarchy of version 2".to_owned())?;
        let parent = without_ours(&parent);
        let directory = parent.join(place_of(home));
        make_directory(&directory)?;
        let memory = match enable_memory(parent) {
            Outcome::Done => enable_memory(&directory),
            not_here @ Outcome::NotHere(_) => not_here,
        };
        Ok(Self { directory, memory })
    }

    /// Whether memory can be limited and measured here.
    pub fn memory(&self) -> &Outcome {
        &self.memory
    }

    /// Makes, or finds again, the control group of a component.
    ///
    /// # Errors
    ///
    /// The reason why there can be none.
    pub fn leaf(&self, name: &str) -> Result<Leaf, String> {
        let directory = self.directory.join(name);
        make_directory(&directory)?;
        Ok(Leaf { directory })
    }

    /// Removes what is empty of it.
    pub fn remove(&self) -> Outcome {
        for leaf in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            fs::remove_dir(leaf.path()).ok(); // refused for all that is no empty leaf
        }
        outcome(fs::remove_dir(&self.directory), &self.directory)
    }
}

impl Leaf {
    /// Puts a process into it, and with it all that it starts from now on.
    pub fn put(&self, pid: u32) -> Outcome {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Has the kernel slow it down at its declared peak, and kill within it a tenth above that.
    pub fn limit(&self, peak_bytes: u64) -> Outcome {
        if peak_bytes == 0 {
            return Outcome::NotHere("it declares no peak".to_owned());
        }
        let max = peak_bytes.saturating_add(peak_bytes / MAX_ABOVE_PEAK_PART);
        match self.write("memory.max", &max.to_string()) {
            Outcome::Done => self.write("memory.high", &peak_bytes.to_string()),
            not_here @ Outcome::NotHere(_) => not_here,
        }
    }

    /// What the kernel has charged to it, in bytes, without what it read from files and has not
    /// used of late; nothing where it is not counted.
    pub fn memory_bytes(&self) -> Option<u64> {
        let read = |file: &str| fs::read_to_string(self.directory.join(file)).ok();
        let charged: u64 = read("memory.current")?.trim().parse().ok()?;
        let idle = read("memory.stat").as_deref().and_then(|text| value_of(text, "inactive_file"));
        Some(charged.saturating_sub(idle.unwrap_or_default()))
    }

    /// How often the kernel killed in it for its limit.
    pub fn oom_kills(&self) -> Option<u64> {
        let events = fs::read_to_string(self.directory.join("memory.events")).ok()?;
        value_of(&events, "oom_kill")
    }

    /// Whether a process is left in it; nothing where that cannot be told.
    pub fn is_populated(&self) -> Option<bool> {
        let events = fs::read_to_string(self.directory.join("cgroup.events")).ok()?;
        value_of(&events, "populated").map(|value| value != 0)
    }

    /// The processes in it.
    pub fn pids(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Kills all that is in it, and what that starts meanwhile too.
    pub fn kill(&self) -> Outcome {
        self.write("cgroup.kill", "1")
    }

    /// Removes it; only when nothing is left in it.
    pub fn remove(&self) -> Outcome {
        outcome(fs::remove_dir(&self.directory), &self.directory)
    }

    fn write(&self, file: &str, value: &str) -> Outcome {
        write(&self.directory.join(file), value)
    }
}

/// Has the kernel choose this process sooner or later when it must kill one, by its worth from 0 to
/// 100. The score is never below 0: nobody is put before the rest of the machine.
pub fn set_oom_score(pid: u32, priority: u8) -> Outcome {
    write(Path::new(&format!("/proc/{pid}/oom_score_adj")), &oom_score(priority).to_string())
}

fn oom_score(priority: u8) -> u32 {
    let lack = PRIORITY_MAX - priority.min(PRIORITY_MAX);
    OOM_SCORE_MAX * u32::from(lack) / u32::from(PRIORITY_MAX)
}

/// The memory that our own control group and those above it are held to, in bytes; nothing where
/// there is no limit. Of version 1 too, so that a container's limit is known.
pub fn memory_limit() -> Option<u64> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let two = own_directory(&mounts, &own).map(|own| (own, "memory.max"));
    let one = own_memory_directory(&mounts, &own).map(|own| (own, "memory.limit_in_bytes"));
    let limits = two.into_iter().chain(one).flat_map(|(own, file)| {
        let above: Vec<PathBuf> = own.ancestors().map(|above| above.join(file)).collect();
        above.into_iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
    });
    limits.filter(|limit| *limit < LIMIT_BYTES_MAX).min()
}

/// Our own control group of version 2, as a directory.
fn own_directory(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let of_kind = |line: &&str| kind(line).is_some_and(|(kind, _)| kind == "cgroup2");
    mounts.lines().filter(of_kind).find_map(|line| below_mount(line, path))
}

/// The same of version 1's memory controller.
fn own_memory_directory(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "memory").then_some(path)
    })?;
    let of_kind = |line: &&str| {
        kind(line).is_some_and(|(kind, options)| {
            kind == "cgroup" && options.split(',').any(|option| option == "memory")
        })
    };
    mounts.lines().filter(of_kind).find_map(|line| below_mount(line, path))
}

/// The kind of file system, and its options, of a line of `mountinfo`.
fn kind(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line.split_once(" - ")?.1.split_once(' ')?;
    Some((kind, rest.split_once(' ')?.1))
}

/// Where `path` of the hierarchy is found below a mount of it, of which a part may be shown only.
fn below_mount(line: &str, path: &str) -> Option<PathBuf> {
    let mut fields = line.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path));
    Some(Path::new(point).join(below.strip_prefix("/").unwrap_or(below)))
}

/// Castellan itself may have been started by what runs in one of ours.
fn without_ours(directory: &Path) -> &Path {
    let is_ours = |part: &&Path| {
        let name = part.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| {
            let hash = name.strip_prefix("sanctum-").unwrap_or_default();
            hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let ours = directory.ancestors().find(is_ours);
    ours.and_then(Path::parent).unwrap_or(directory)
}

/// `sanctum-` and a hash of the home: FNV-1a, which stays the same in every build.
fn place_of(home: &Path) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = home.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    format!("sanctum-{hash:016x}")
}

/// Lets the groups below have the memory controller.
fn enable_memory(directory: &Path) -> Outcome {
    let present = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    if !present.split_whitespace().any(|name| name == "memory") {
        let directory = directory.display();
        return Outcome::NotHere(format!("`{directory}` has no memory controller of version 2"));
    }
    let enabled = directory.join("cgroup.subtree_control");
    let is_enabled = fs::read_to_string(&enabled)
        .is_ok_and(|text| text.split_whitespace().any(|name| name == "memory"));
    if is_enabled { Outcome::Done } else { write(&enabled, "+memory") }
}

fn make_directory(path: &Path) -> Result<(), String> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("cannot make `{}`: {error}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One value with one write; what does not exist is not made.
fn write(path: &Path, value: &str) -> Outcome {
    let done = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    outcome(done, path)
}

fn outcome(done: io::Result<()>, path: &Path) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::NotHere(format!("`{}`: {error}", path.display())),
    }
}

/// `NAME VALUE`, one a line.
fn value_of(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::time::Duration;
    use std::{io::Write as _, thread};

    use super::*;

    const PURE: &str =
        "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const MIXED: &str = "40 39 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        41 40 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        42 40 0:40 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn our_own_place_is_found_on_pure_mixed_and_partly_shown_hierarchies() {
        let own = "4:memory:/box/7\n1:cpu:/\n0::/user.slice/a.service\n";
        let place = |path: &str| Some(PathBuf::from(path));
        assert_eq!(own_directory(PURE, own), place("/sys/fs/cgroup/user.slice/a.service"));
        assert_eq!(own_directory(MIXED, own), place("/sys/fs/cgroup/unified/user.slice/a.service"));
        assert_eq!(own_directory(MIXED, "0::/\n"), place("/sys/fs/cgroup/unified/"));
        assert_eq!(own_memory_directory(MIXED, own), place("/sys/fs/cgroup/memory/box/7"));
        assert_eq!(own_memory_directory(PURE, own), None);
        let part = "31 24 0:27 /user.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_directory(part, own), place("/sys/fs/cgroup/a.service"));
        assert_eq!(own_directory("", own), None);
        assert_eq!(own_directory(PURE, "4:memory:/\n"), None);
    }

    #[test]
    fn a_home_has_one_place_also_when_castellan_stands_in_one() {
        assert_eq!(
            place_of(Path::new("/home/a/.sanctum")),
            place_of(Path::new("/home/a/.sanctum"))
        );
        assert_ne!(
            place_of(Path::new("/home/a/.sanctum")),
            place_of(Path::new("/home/b/.sanctum"))
        );
        let inside = Path::new("/sys/fs/cgroup/x").join(place_of(Path::new("/a"))).join("proxyd");
        assert_eq!(without_ours(&inside), Path::new("/sys/fs/cgroup/x"));
        let unit = Path::new("/sys/fs/cgroup/sanctum-castellan.service");
        assert_eq!(without_ours(unit), unit);
    }

    #[test]
    fn who_is_worth_least_is_killed_first_and_nobody_is_put_before_the_machine() {
        assert_eq!([0, 50, 100, 255].map(oom_score), [500, 250, 0, 0]);
    }

    #[test]
    fn what_cannot_be_written_is_said_with_its_reason() {
        let leaf = Leaf { directory: PathBuf::from("/nowhere") };
        let Outcome::NotHere(why) = leaf.put(1) else { panic!("nothing is there") };
        assert!(why.starts_with("`/nowhere/cgroup.procs`: No such file"), "{why}");
        assert_eq!(leaf.limit(0), Outcome::NotHere("it declares no peak".to_owned()));
        assert_eq!((leaf.memory_bytes(), leaf.is_populated()), (None, None));
    }

    fn say(text: &str) {
        writeln!(std::io::stderr().lock(), "{text}").unwrap();
    }

    #[test]
    fn all_that_a_process_starts_is_in_its_leaf_and_is_killed_with_it() {
        let home = tempfile::tempdir().unwrap();
        let hierarchy = match Hierarchy::make(home.path()) {
            Ok(hierarchy) => hierarchy,
            Err(why) => return say(&format!("skipped: {why}")),
        };
        let leaf = hierarchy.leaf("tested").unwrap();
        let script = "read go; setsid sh -c 'setsid sleep 600' & sleep 600";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        match leaf.put(child.id()) {
            Outcome::Done => {}
            Outcome::NotHere(why) => {
                child.kill().unwrap();
                child.wait().unwrap();
                leaf.remove();
                hierarchy.remove();
                return say(&format!("skipped: {why}"));
            }
        }
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        until(|| leaf.pids().len() >= 3);
        assert_eq!(leaf.is_populated(), Some(true));
        match hierarchy.memory() {
            Outcome::Done => {
                assert_eq!(leaf.limit(64 << 20), Outcome::Done);
                assert!(leaf.memory_bytes().unwrap() > 0);
            }
            Outcome::NotHere(why) => {
                assert!(matches!(leaf.limit(64 << 20), Outcome::NotHere(_)));
                say(&format!("no limits: {why}"));
            }
        }
        assert!(matches!(leaf.remove(), Outcome::NotHere(_)), "not while somebody is in it");
        assert_eq!(leaf.kill(), Outcome::Done);
        child.wait().unwrap();
        until(|| leaf.is_populated() == Some(false));
        assert_eq!((leaf.remove(), hierarchy.remove()), (Outcome::Done, Outcome::Done));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_score_of_a_child_can_be_raised() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let outcome = set_oom_score(child.id(), 20);
        let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        match outcome {
            Outcome::Done => assert_eq!(score.trim(), "400"),
            Outcome::NotHere(why) => say(&format!("skipped: {why}")),
        }
    }

    fn until(is_so: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if is_so() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not come about within 10 s");
    }
}
