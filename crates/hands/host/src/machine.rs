//! What the machine has: memory, disk, programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What a new program could have without others being pushed out.
    pub available: u64,
}

/// The machine's memory; nothing where it cannot be told.
pub fn memory() -> Option<Memory> {
    match fs::read_to_string("/proc/meminfo") {
        Ok(text) => memory_of_proc(&text),
        Err(_) => memory_of_sysctl(),
    }
}

fn memory_of_proc(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 =
            line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes << 10)
    };
    Some(Memory { total: field("MemTotal")?, available: field("MemAvailable")? })
}

/// macOS: free and inactive pages are what can be had.
fn memory_of_sysctl() -> Option<Memory> {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let total = run("sysctl", &["-n", "hw.memsize"])?.trim().parse().ok()?;
    let pages = run("vm_stat", &[])?;
    Some(Memory { total, available: available_of_vm_stat(&pages)? })
}

fn available_of_vm_stat(text: &str) -> Option<u64> {
    let (_, size) = text.lines().next()?.split_once("page size of ")?;
    let size: u64 = size.split(' ').next()?.parse().ok()?;
    let pages = |name: &str| -> Option<u64> {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().trim_end_matches('.').parse().ok())
    };
    Some((pages("Pages free:")? + pages("Pages inactive:")?) * size)
}

/// The bytes that an ordinary user may still write below `path`, or below the nearest directory
/// above it that exists.
pub fn disk_available(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let about = rustix::fs::statvfs(existing).ok()?;
    Some(about.f_bavail * about.f_frsize)
}

/// Where a program is found on `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_disk() {
        let memory = memory().unwrap();
        assert!(memory.available > 0 && memory.available <= memory.total);
        assert!(disk_available(Path::new("/no/such/directory")).unwrap() > 0);
    }

    #[test]
    fn vm_stat_is_read_with_its_own_page_size() {
        let text = "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n\
                    Pages free:                               10.\n\
                    Pages active:                            500.\n\
                    Pages inactive:                           20.\n";
        assert_eq!(available_of_vm_stat(text), Some(30 * 16384));
    }

    #[test]
    fn a_program_is_found_or_not() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program"), None);
    }
}
