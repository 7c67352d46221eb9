//! The shape of the workspace, held as tests.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, camino::Utf8Path};

/// Which rings a crate may use, by the ring it stands in. A ring is a folder of `crates/`.
const MAY_USE: [(&str, &[&str]); 4] = [
    ("core", &["core"]),
    ("hands", &["core", "hands"]),
    ("daemons", &["core", "hands"]),
    ("faces", &["core", "hands"]),
];

/// What a crate, or a whole ring, may never link, however indirectly.
const NEVER_LINKS: [(&str, &[&str]); 5] = [
    // Decides, and touches nothing.
    (
        "crates/core/",
        &[
            "tokio",
            "axum",
            "hyper",
            "reqwest",
            "rusqlite",
            "rustix",
            "libc",
            "mio",
            "socket2",
            "ureq",
            "tempfile",
            "rand",
            "getrandom",
            "jiff",
            "chrono",
            "time",
        ],
    ),
    // Links neither TLS nor SQLite, reaches nothing past loopback, and holds no secret.
    (
        "crates/daemons/castellan",
        &[
            "axum",
            "reqwest",
            "ureq",
            "hyper-rustls",
            "rustls",
            "native-tls",
            "openssl",
            "aws-lc-rs",
            "ring",
            "rusqlite",
            "ratatui",
            "sanctum-dialect",
            "sanctum-guest",
            "sanctum-secrets",
        ],
    ),
    // Never starts a program, and answers with what it was asked: no guest, no supervisor.
    (
        "crates/daemons/proxyd",
        &["sanctum-host", "sanctum-plan", "sanctum-wire", "rusqlite", "ratatui"],
    ),
    // Serves one model on loopback; it calls nobody, and holds no provider's key.
    (
        "crates/daemons/mlx",
        &[
            "reqwest",
            "ureq",
            "hyper-rustls",
            "rustls",
            "sanctum-host",
            "sanctum-plan",
            "sanctum-wire",
            "sanctum-dialect",
        ],
    ),
    // Speaks with castellan over its socket and keeps nothing up itself.
    ("crates/faces/", &["axum", "rusqlite", "llama-cpp-2", "llama-cpp-sys-2"]),
];

#[test]
fn arrows_point_inward() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let home = home(&metadata, package);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == ring(home)) else {
            continue;
        };
        for dependency in &package.dependencies {
            let Some(path) = &dependency.path else { continue };
            let target = inside(&metadata, path);
            let linked = dependency.kind != DependencyKind::Development;
            if linked && !allowed.contains(&ring(target)) {
                wrong.push(format!("{home} uses {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_crate_links_only_what_it_may() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let home = home(&metadata, package);
        let linked = links(&metadata, package);
        for (_, banned) in NEVER_LINKS.iter().filter(|(place, _)| home.starts_with(place)) {
            let found: Vec<_> = banned.iter().filter(|name| linked.contains(**name)).collect();
            if !found.is_empty() {
                wrong.push(format!("{home} links {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_ban_names_a_place_that_exists_and_sees_through_others() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    for (place, _) in NEVER_LINKS {
        let named = packages.iter().any(|package| home(&metadata, package).starts_with(place));
        assert!(named, "{place} is no crate");
    }
    let castellan = packages.iter().find(|package| package.name.as_str() == "castellan");
    let linked = links(&metadata, castellan.expect("castellan is a crate"));
    assert!(linked.contains("tokio") && linked.contains("mio"), "{linked:?}");
    assert!(!linked.contains("castellan"));
}

#[test]
fn the_code_map_names_every_crate_and_no_other() {
    let metadata = metadata();
    let map = metadata.workspace_root.join("ARCHITECTURE.md");
    let map = std::fs::read_to_string(map).expect("ARCHITECTURE.md can be read");
    let named: BTreeSet<_> = map.split('`').filter(|word| word.starts_with("crates/")).collect();
    let packages = metadata.workspace_packages();
    let present = packages.iter().map(|package| home(&metadata, package));
    assert_eq!(named, present.collect());
}

fn metadata() -> Metadata {
    MetadataCommand::new().exec().expect("cargo metadata runs in the workspace")
}

/// The crate's folder, from the workspace's root: `crates/core/model`.
fn home<'a>(metadata: &Metadata, package: &'a Package) -> &'a str {
    inside(metadata, package.manifest_path.parent().expect("a manifest stands in a folder"))
}

fn inside<'a>(metadata: &Metadata, path: &'a Utf8Path) -> &'a str {
    path.strip_prefix(&metadata.workspace_root).expect("a path in the workspace").as_str()
}

fn ring(folder: &str) -> &str {
    folder.split('/').nth(1).unwrap_or_default()
}

/// The names of all packages that `root` links, itself left out.
fn links(metadata: &Metadata, root: &Package) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().expect("cargo metadata resolves").nodes;
    let (mut linked, mut todo) = (BTreeSet::new(), vec![&root.id]);
    while let Some(id) = todo.pop() {
        let node = nodes.iter().find(|node| node.id == *id).expect("a node for each package");
        for edge in &node.deps {
            let normal = edge.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && linked.insert(metadata[&edge.pkg].name.to_string()) {
                todo.push(&edge.pkg);
            }
        }
    }
    linked
}
