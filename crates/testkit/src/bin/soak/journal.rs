//! The event journal: every line is an event, and of each castellan none is missing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sanctum_wire::Event;

/// The event with which each castellan begins has this number.
const FIRST: u64 = 1;

/// How many events and castellans it tells of.
pub(crate) fn check(home: &Path) -> Result<String> {
    let mut events = 0;
    let mut castellans = 0;
    let mut next = None;
    for path in parts(home)? {
        let text = read(&path)?;
        for (number, line) in text.lines().enumerate() {
            let place = || format!("`{}` line {}: {line}", path.display(), number + 1);
            let event: Event = serde_json::from_str(line).with_context(place)?;
            events += 1;
            // What others than castellan tell has no number.
            if event.sequence == 0 {
                continue;
            }
            if event.sequence == FIRST {
                castellans += 1;
            } else {
                let expected = next.is_none_or(|next| next == event.sequence);
                ensure!(expected, "{}: {next:?} is missing before it", place());
            }
            next = Some(event.sequence + 1);
        }
        ensure!(text.is_empty() || text.ends_with('\n'), "`{}` is torn", path.display());
    }
    ensure!(castellans > 0, "it tells of no castellan");
    Ok(format!("{events} events of {castellans} castellans"))
}

/// The files of the journal, the oldest first: `events.jsonl.2.gz`, `events.jsonl.1.gz`,
/// `events.jsonl`.
fn parts(home: &Path) -> Result<Vec<PathBuf>> {
    let directory = home.join("chitti");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(rest) = name.strip_prefix("events.jsonl") {
            let age: u32 = rest.split('.').find_map(|word| word.parse().ok()).unwrap_or_default();
            found.insert(u32::MAX - age, path);
        }
    }
    Ok(found.into_values().collect())
}

fn read(path: &Path) -> Result<String> {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output()?;
        ensure!(output.status.success(), "cannot unpack `{}`", path.display());
        return Ok(String::from_utf8(output.stdout)?);
    }
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}
