//! Whether KVM carries our kernel: proven by running it, never by opening a device.
//!
//! `/dev/kvm` opens and even makes machines on hosts where no guest instruction is ever carried
//! out. So the kernel is booted until it speaks, within a deadline; the verdict is kept as long as
//! the host's boot and its emulator are the same.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sanctum_host::file::write_atomic;
use sanctum_model::Command;
use sanctum_plan::guest::{Arch, MARKER, probe_command};
use serde::{Deserialize, Serialize};

use super::tool;

/// The time from the emulator's start to the kernel's first words. Under KVM it is a tenth of it.
const SPEAK_MAX: Duration = Duration::from_secs(5);
/// Bytes of the emulator's output that are looked at.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Whether KVM can be used, and why (not).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether our kernel spoke.
    pub usable: bool,
    /// What was seen, in a few words.
    pub reason: String,
}

/// `kvm.json` in the cache.
#[derive(Serialize, Deserialize)]
struct Kept {
    boot: String,
    emulator: String,
    verdict: Verdict,
}

/// Says whether KVM carries `kernel`. Takes seconds once a boot of the host, and nothing after.
pub fn probe_kvm(cache: &Path, kernel: &Path, arch: Arch) -> Verdict {
    match fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => {}
        Err(error) => {
            return no(format!("cannot open /dev/kvm: {error}"));
        }
    }
    let command = probe_command(arch, &kernel.to_string_lossy());
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let version = Command::new(&command.program).argument("--version");
    let emulator = tool::output(&version).unwrap_or_default();
    let path = cache.join("kvm.json");
    let kept = fs::read_to_string(&path).ok();
    if let Some(kept) = kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok())
        && (kept.boot.as_str(), kept.emulator.as_str()) == (boot.as_str(), emulator.as_str())
    {
        return kept.verdict;
    }
    let verdict = probe(&command, SPEAK_MAX);
    let kept = Kept { boot, emulator, verdict: verdict.clone() };
    if let Ok(text) = serde_json::to_string(&kept) {
        // Not kept is only slower the next time.
        drop(write_atomic(&path, text.as_bytes(), 0o600));
    }
    verdict
}

fn no(reason: String) -> Verdict {
    Verdict { usable: false, reason }
}

fn probe(command: &Command, speak_max: Duration) -> Verdict {
    let started = tool::process(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return no(format!("cannot run {}: {error}", command.program)),
    };
    let (spoke, heard) = mpsc::sync_channel(1);
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let mut lines = BufReader::new(output.take(OUTPUT_BYTES_MAX));
            let mut line = Vec::new();
            let mut marker = false;
            while !marker && lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                marker = String::from_utf8_lossy(&line).contains(MARKER);
                line.clear();
            }
            // Nobody hears it when the deadline was faster.
            let _ = spoke.send(marker);
        });
    }
    let heard = heard.recv_timeout(speak_max);
    let verdict = match heard {
        Ok(true) => Verdict { usable: true, reason: "the guest's kernel spoke".to_owned() },
        Ok(false) => no(format!("the emulator ended: {}", last_words(&mut child))),
        Err(_) => no(format!("the guest's kernel said nothing for {} s", speak_max.as_secs())),
    };
    drop(child.kill());
    drop(child.wait());
    verdict
}

/// What an emulator that ended said last, and how it ended.
fn last_words(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(errors) = child.stderr.take() {
        drop(errors.take(OUTPUT_BYTES_MAX).read_to_string(&mut said));
    }
    let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    match said.trim().lines().last() {
        Some(line) => format!("{line} ({status})"),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(script: &str) -> Verdict {
        let command = Command::new("sh").arguments(["-c", script]);
        probe(&command, Duration::from_millis(700))
    }

    #[test]
    fn a_kernel_that_speaks_is_the_only_yes() {
        assert!(verdict("echo SeaBIOS; echo '[ 0.0] Linux version 6.1.0'; exec sleep 60").usable);
    }

    #[test]
    fn an_emulator_that_hangs_is_a_no_after_the_deadline() {
        let verdict = verdict("echo SeaBIOS; exec sleep 60");
        assert!(!verdict.usable);
        assert!(verdict.reason.contains("said nothing"), "{}", verdict.reason);
    }

    #[test]
    fn an_emulator_that_aborts_is_a_no_with_its_last_words() {
        let verdict = verdict("echo 'error: failed to set MSR 0x10a' >&2; exit 134");
        assert!(!verdict.usable);
        assert!(verdict.reason.contains("MSR 0x10a"), "{}", verdict.reason);
        assert!(verdict.reason.contains("134"), "{}", verdict.reason);
    }

    #[test]
    fn an_emulator_that_is_not_there_is_a_no() {
        let verdict = probe(&Command::new("/no/such/emulator"), SPEAK_MAX);
        assert!(!verdict.usable && verdict.reason.contains("/no/such/emulator"));
    }
}
