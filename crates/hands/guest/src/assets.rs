//! The recipe and its files, inside this program: an installed one needs no checkout.

/// The recipe.
pub(super) const RECIPE: &str = include_str!("../../../../guest/recipe.toml");
/// What npm is asked for.
pub(super) const PACKAGE: &str = include_str!("../../../../guest/openclaw/package.json");
/// What it is held to.
pub(super) const LOCKFILE: &str = include_str!("../../../../guest/openclaw/package-lock.json");
/// Puts the root together.
pub(super) const ASSEMBLE: &str = include_str!("../../../../guest/assemble.sh");
/// Warms the compile cache.
pub(super) const WARM: &str = include_str!("../../../../guest/warm-cache.mjs");

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../guest/files/", $path)))),*]
    };
}

/// The files that go into the image, by their paths below `/`. A test holds this table against
/// the directory.
pub(super) const FILES: &[(&str, &str)] = files![
    "etc/hostname",
    "etc/hosts",
    "etc/initramfs-tools/conf.d/sanctum",
    "etc/resolv.conf",
    "etc/ssh/sshd_config",
    "etc/sysctl.d/90-sanctum.conf",
    "etc/systemd/journald.conf.d/sanctum.conf",
    "etc/systemd/system.conf.d/sanctum.conf",
    "etc/systemd/system/openclaw.service",
    "etc/systemd/system/qemu-guest-agent.service.d/sanctum.conf",
    "etc/systemd/system/sanctum-instance.service",
    "etc/systemd/system/sanctum-network.service",
    "etc/systemd/system/ssh.service.d/sanctum.conf",
    "usr/local/lib/sanctum/keep-unit",
    "usr/local/lib/sanctum/openclaw.env",
    "usr/local/lib/sanctum/set-network",
    "usr/local/lib/sanctum/unpack-instance",
    "usr/sbin/shutdown",
    "usr/share/initramfs-tools/modules.d/sanctum",
];

/// Those of [`FILES`] that the first root is made with, and so the base system too.
pub(super) const INITRAMFS_FILES: [&str; 2] =
    ["etc/initramfs-tools/conf.d/sanctum", "usr/share/initramfs-tools/modules.d/sanctum"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn every_file_of_the_recipe_is_inside_this_program() {
        let root =
            Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is"))
                .join("../../../guest/files");
        let mut found = Vec::new();
        walk(&root, &mut found);
        let there: BTreeSet<_> = found
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        let here: BTreeSet<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(here, there);
        assert!(INITRAMFS_FILES.iter().all(|path| here.contains(*path)));
    }
}
