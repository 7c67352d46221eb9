//! The programs of this workspace, as cargo built them for the tests that run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

/// The path of a program of this workspace, beside the tests that run. It is built if it is
/// missing, and not if it is merely old: a run over the whole workspace, and the one command for
/// all tests, build it first.
///
/// # Errors
///
/// When cargo cannot build it.
pub fn program(package: &str, name: &str) -> Result<PathBuf> {
    let test = env::current_exe()?;
    let profile = test
        .ancestors()
        .find(|directory| directory.ends_with("deps"))
        .and_then(Path::parent)
        .context("a test stands in `deps` of its profile's directory")?;
    let program = profile.join(name);
    if !program.exists() {
        build(package, name, profile)?;
    }
    Ok(program)
}

fn build(package: &str, name: &str, profile: &Path) -> Result<()> {
    let directory = profile.file_name().unwrap_or_default();
    let profile_name = if directory == "debug" { "dev".as_ref() } else { directory };
    let target = profile.parent().context("a profile's directory stands in the target's")?;
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", package, "--bin", name, "--profile"])
        .arg(profile_name)
        .arg("--target-dir")
        .arg(target)
        .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is"))
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build `{name}`");
    Ok(())
}

/// Puts a program at `path`, under whatever name that has. A link where that can be, since a
/// program that finds its neighbours must be found where it stands; else a copy.
///
/// # Errors
///
/// As the system gives them.
pub fn place(program: &Path, path: &Path) -> Result<()> {
    if fs::hard_link(program, path).is_err() {
        fs::copy(program, path).with_context(|| format!("cannot copy `{}`", program.display()))?;
    }
    Ok(())
}
