//! House rules that a machine can hold.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Metadata, MetadataCommand};

/// What the workspace may be built from, by SPDX name.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Where every package comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn each_module_says_first_what_it_is_for() {
    let mut wrong = Vec::new();
    for (path, text) in committed(&["*.rs"]) {
        let begins = text.starts_with("//!") || text.starts_with("#!");
        if !begins {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_test_is_named_by_a_sentence() {
    let mut wrong = Vec::new();
    for (path, text) in committed(&["*.rs"]) {
        for line in
            text.lines().filter(|line| line.trim_start().starts_with(&words(&["fn ", "test_"])))
        {
            wrong.push(format!("{path}: {}", line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        let mut lines = manifest.lines().skip_while(|line| *line != "[lints]").skip(1);
        if lines.next() != Some("workspace = true") {
            wrong.push(package.manifest_path.clone());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_package_is_from_the_registry_with_a_licence_on_the_list() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        match &package.source {
            Some(source) if source.repr != REGISTRY => {
                wrong.push(format!("{} comes from {source}", package.name));
            }
            Some(_) => {}
            None if package.manifest_path.starts_with(&metadata.workspace_root) => {}
            None => wrong.push(format!("{} is outside the workspace", package.name)),
        }
        let licence = package.license.as_deref().unwrap_or("none");
        if !is_allowed(licence) {
            wrong.push(format!("{} has the licence {licence}", package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_licence_is_judged_by_its_whole_expression() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "MIT OR GPL-3.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "ISC AND (Apache-2.0 OR ISC) AND (GPL-2.0 OR MIT-0)",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["none", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR GPL-3.0) AND MIT", "MIT AND"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn nothing_committed_names_a_place_of_the_machine_it_was_written_on() {
    let homes = [words(&["/wo", "rk/"]), words(&["/ro", "ot/"])];
    let mut wrong = Vec::new();
    for (path, text) in committed(&["."]) {
        for (number, line) in text.lines().enumerate() {
            if homes.iter().any(|home| begins_a_path(line, home)) {
                wrong.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Checkouts that share what they built share the tests too: the place of one is not that of another.
#[test]
fn a_test_asks_for_its_place_when_it_runs() {
    let baked_in =
        [words(&["env!(\"CARGO_MANIF", "EST_DIR\")"]), words(&["env!(\"CARGO_BIN_", "EXE_"])];
    for (path, text) in committed(&["*.rs"]) {
        let found = baked_in.iter().find(|word| text.contains(*word));
        assert_eq!(found, None, "{path}: ask `std::env::var_os`");
    }
}

#[test]
fn a_place_is_told_from_a_part_of_another() {
    let home = words(&["/ro", "ot/"]);
    for bad in ["{}x", "see `{}x`", "path={}x", "file://{}x"] {
        assert!(begins_a_path(&bad.replace("{}", &home), &home), "{bad}");
    }
    for good in ["cache{}x", "a/b{}x", "*{}x"] {
        assert!(!begins_a_path(&good.replace("{}", &home), &home), "{good}");
    }
}

#[test]
fn a_lock_file_pins_by_sum_and_not_by_place() {
    for (path, text) in committed(&["*package-lock.json"]) {
        assert!(!text.contains("\"resolved\""), "{path} names the place each package came from");
        assert!(text.contains("\"integrity\""), "{path} pins no sums");
    }
    for (path, text) in committed(&["*Cargo.lock"]) {
        let sources: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
        assert_eq!(sources, BTreeSet::from([format!("\"{REGISTRY}\"").as_str()]), "{path}");
    }
}

fn metadata() -> Metadata {
    MetadataCommand::new().exec().expect("cargo metadata runs in the workspace")
}

/// Every text that git keeps and that matches: its path in the workspace, and what is in it.
fn committed(patterns: &[&str]) -> Vec<(Utf8PathBuf, String)> {
    let root = metadata().workspace_root;
    let output = Command::new("git")
        .args(["ls-files", "-z", "--"])
        .args(patterns)
        .current_dir(&root)
        .output()
        .expect("git lists what it keeps");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("our paths are UTF-8");
    let files = names.split('\0').filter(|name| !name.is_empty());
    // What is no text, or is deleted and not yet committed so, has nothing to say.
    files
        .filter_map(|name| Some((name.into(), fs::read_to_string(root.join(name)).ok()?)))
        .collect()
}

/// Whether `home` stands in the line as the beginning of a path, not as a part of a longer one.
fn begins_a_path(line: &str, home: &str) -> bool {
    let inside =
        |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "_-.}*".contains(c));
    line.match_indices(home).any(|(at, _)| !inside(&line[..at]))
}

/// A text that must not stand in this file as a whole.
fn words(parts: &[&str]) -> String {
    parts.concat()
}

/// Whether the list allows what an SPDX expression asks for. `/` is an older way to write `OR`.
fn is_allowed(licence: &str) -> bool {
    let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
    any_of(&mut tokens) == Some(true) && tokens.is_empty()
}

/// `A OR B`; the tokens are taken from the end.
fn any_of(tokens: &mut Vec<&str>) -> Option<bool> {
    let mut allowed = all_of(tokens)?;
    while tokens.pop_if(|token| *token == "OR").is_some() {
        allowed |= all_of(tokens)?;
    }
    Some(allowed)
}

/// `A AND B`.
fn all_of(tokens: &mut Vec<&str>) -> Option<bool> {
    let mut allowed = one(tokens)?;
    while tokens.pop_if(|token| *token == "AND").is_some() {
        allowed &= one(tokens)?;
    }
    Some(allowed)
}

/// `(A)`, `A WITH B` or `A`.
fn one(tokens: &mut Vec<&str>) -> Option<bool> {
    let name = tokens.pop()?;
    if name == "(" {
        let allowed = any_of(tokens)?;
        return (tokens.pop()? == ")").then_some(allowed);
    }
    match tokens.pop_if(|token| *token == "WITH") {
        Some(_) => {
            let exception = tokens.pop()?;
            Some(LICENCES.contains(&format!("{name} WITH {exception}").as_str()))
        }
        None => Some(LICENCES.contains(&name)),
    }
}
