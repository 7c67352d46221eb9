//! The building of an image, step by step.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::geteuid;
use sanctum_host::progress::{OnProgress, Progress};
use sanctum_model::Command;
use sanctum_plan::guest::{Arch, Recipe, Source, parse_sources, sources_for};
use sha2::{Digest as _, Sha256};

use super::super::tool::{self, BUILD_TOOLS, Step};
use super::super::{GuestError, assets};
use super::{BUILDER_VERSION, CONTRACT, Image, ImageManifest, short, tree};

/// Room in the cache for everything a build keeps and makes on the way, in MiB.
const CACHE_MIB: u64 = 6 * 1024;
/// Room in the directory of temporary files, where mmdebstrap unpacks the system, in MiB.
const TEMPORARY_MIB: u64 = 1024;
/// The kernel and the first root, inside the base system's archive.
const BOOT_FILES: [(&str, &str); 2] =
    [("vmlinuz", "./boot/vmlinuz-*"), ("initrd", "./boot/initrd.img-*")];
/// What a build is made of, as its reader sees it.
const STEPS: [&str; 5] = [
    "install the base system",
    "install the agent",
    "patch the agent",
    "put the guest's root together",
    "make the image",
];

/// Everything a build is told and where it works.
struct Build<'a> {
    arch: Arch,
    recipe: &'a Recipe,
    images: PathBuf,
    log: PathBuf,
}

/// Builds the image of `recipe`. See [`super::ensure`].
pub(super) fn build(
    cache: &Path,
    arch: Arch,
    recipe: &Recipe,
    on: OnProgress<'_>,
) -> Result<Image, GuestError> {
    let images = cache.join("images");
    let log = images.join("build.log");
    let build = Build { arch, recipe, images, log };
    build.check()?;
    make_directory(&build.stages())?;
    let _lock = build.lock(on)?;
    // Another builder may have been faster.
    if let Some(image) = super::find(cache, arch) {
        return Ok(image);
    }
    drop(fs::remove_file(&build.log));
    let base = build.base_system(on)?;
    let agent = build.agent(on)?;
    let patched = build.patched(&agent, on)?;
    let raw = build.file_system(&base, &patched, on)?;
    build.image(&base, &raw, on)
}

impl Build<'_> {
    fn stages(&self) -> PathBuf {
        self.images.join("stages")
    }

    fn work(&self) -> PathBuf {
        self.images.join("work")
    }

    /// What can be known beforehand to fail, fails before anything is done.
    fn check(&self) -> Result<(), GuestError> {
        if !cfg!(target_os = "linux") {
            return Err(GuestError::BuildElsewhere);
        }
        for (tool, package) in BUILD_TOOLS {
            tool::require(tool, package)?;
        }
        let keyring = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
        if !keyring.is_file() {
            let (tool, package) = (keyring.display().to_string(), "debian-archive-keyring");
            return Err(GuestError::MissingTool { tool, package });
        }
        if !geteuid().is_root() {
            tool::require("newuidmap", "uidmap")?;
            let probe = Command::new("unshare").arguments(NAMESPACE).argument("true");
            tool::output(&probe).map_err(|_| GuestError::Namespace)?;
        }
        make_directory(&self.images)?;
        check_space(&self.images, CACHE_MIB)?;
        check_space(&std::env::temp_dir(), TEMPORARY_MIB)
    }

    fn lock(&self, on: OnProgress<'_>) -> Result<File, GuestError> {
        let path = self.images.join("lock");
        let lock = File::create(&path).map_err(GuestError::file("open", &path))?;
        // The programs we start hold it too: one that still cleans up after we are gone must not
        // meet the next builder in its directory.
        rustix::io::fcntl_setfd(&lock, rustix::io::FdFlags::empty())
            .map_err(|errno| GuestError::file("lock", &path)(errno.into()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on(Progress::Detail("waiting for another build to end".to_owned()));
                lock.lock().map_err(GuestError::file("lock", &path))?;
            }
            Err(TryLockError::Error(source)) => {
                return Err(GuestError::File { action: "lock", path, source });
            }
        }
        Ok(lock)
    }

    /// Debian, checked against its keyring, as a tar with kernel and first root in it.
    fn base_system(&self, on: OnProgress<'_>) -> Result<PathBuf, GuestError> {
        let packages = self.recipe.packages(self.arch);
        let key = hash(
            [self.arch.debian(), &self.recipe.debian.suite]
                .into_iter()
                .chain(self.recipe.debian.components.iter().map(String::as_str))
                .chain(packages.iter().map(String::as_str))
                .chain(self.recipe.debian.exclude.iter().map(String::as_str))
                .chain(assets::INITRAMFS_FILES.iter().map(|path| asset(path))),
        );
        let stage = self.stages().join(format!("base-{key}.tar"));
        let files = self.work().join("initramfs");
        self.step(0, on, |step| {
            if stage.is_file() {
                return Ok(());
            }
            Self::write_files(&files, |path| assets::INITRAMFS_FILES.contains(&path))?;
            let beside = self.stages().join("base.new.tar");
            drop(fs::remove_file(&beside));
            step.run(&self.mmdebstrap(&packages, &files, &beside), &self.images)?;
            rename(&beside, &stage)
        })?;
        Ok(stage)
    }

    fn mmdebstrap(&self, packages: &[String], files: &Path, to: &Path) -> Command {
        let mode = if geteuid().is_root() { "root" } else { "unshare" };
        let debian = &self.recipe.debian;
        let mut command = Command::new("mmdebstrap")
            .argument(format!("--mode={mode}"))
            .argument("--variant=minbase")
            .argument(format!("--architectures={}", self.arch.debian()))
            .argument(format!("--include={}", packages.join(",")))
            .argument("--aptopt=Apt::Install-Recommends \"false\"");
        for path in &debian.exclude {
            command = command.argument(format!("--dpkgopt=path-exclude={path}"));
        }
        // Before the kernel is installed, so that the first root is made small at once.
        for path in assets::INITRAMFS_FILES {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            command = command
                .argument(format!("--essential-hook=mkdir -p \"$1/{directory}\""))
                .argument(format!(
                    "--essential-hook=copy-in \"{}\" /{directory}",
                    files.join(path).display()
                ));
        }
        command.argument(&debian.suite).argument(to.to_string_lossy()).arguments(sources_for(
            &machine_sources(),
            &debian.suite,
            &debian.components,
        ))
    }

    /// What npm installs by the lockfile: each package checked by its hash, no script run.
    fn agent(&self, on: OnProgress<'_>) -> Result<PathBuf, GuestError> {
        let key = hash([self.arch.npm(), assets::PACKAGE, assets::LOCKFILE]);
        let stage = self.stages().join(format!("agent-{key}"));
        self.step(1, on, |step| {
            if stage.is_dir() {
                return Ok(());
            }
            let beside = self.stages().join("agent.new");
            clear(&beside)?;
            write(&beside.join("package.json"), assets::PACKAGE)?;
            write(&beside.join("package-lock.json"), assets::LOCKFILE)?;
            let npm = Command::new("npm")
                .arguments(["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"])
                .arguments(["--os=linux", "--libc=glibc", "--loglevel=error"])
                .argument(format!("--cpu={}", self.arch.npm()));
            step.run(&npm, &beside)?;
            rename(&beside, &stage)
        })?;
        Ok(stage.join("node_modules"))
    }

    fn patched(&self, agent: &Path, on: OnProgress<'_>) -> Result<PathBuf, GuestError> {
        let patched = self.work().join("agent");
        self.step(2, on, |step| {
            clear(&self.work().join("agent"))?;
            fs::remove_dir(&patched).map_err(GuestError::file("remove", &patched))?;
            let copy = Command::new("cp")
                .arguments(["-R", "-l", "--preserve=mode,timestamps,links"])
                .argument(agent.to_string_lossy())
                .argument(patched.to_string_lossy());
            step.run(&copy, &self.images)?;
            tree::patch(&patched, &self.recipe.patches)?;
            tree::prune(&patched, &self.recipe.openclaw)
        })?;
        Ok(patched)
    }

    fn file_system(
        &self,
        base: &Path,
        agent: &Path,
        on: OnProgress<'_>,
    ) -> Result<PathBuf, GuestError> {
        let work = self.work();
        let raw = work.join("base.raw");
        self.step(3, on, |step| {
            let files = work.join("files");
            Self::write_files(&files, |_| true)?;
            let script = work.join("assemble.sh");
            write(&script, assets::ASSEMBLE)?;
            let warm = work.join("warm-cache.mjs");
            write(&warm, assets::WARM)?;
            let image = &self.recipe.image;
            let path = |path: &Path| path.to_string_lossy().into_owned();
            let assemble = if geteuid().is_root() {
                Command::new("sh")
            } else {
                Command::new("unshare").arguments(NAMESPACE).argument("sh")
            };
            let assemble = assemble
                .argument(path(&script))
                .variable("BASE_TAR", path(base))
                .variable("AGENT_TREE", path(agent))
                .variable("FILES", path(&files))
                .variable("WORK", path(&work.join("root")))
                .variable("OUT_RAW", path(&raw))
                .variable("SIZE_GIB", image.size_gib.to_string())
                .variable("LABEL", &image.label)
                .variable("ENABLED", image.enabled_units.join(" "))
                .variable("MASKED", image.masked_units.join(" "))
                .variable("EXECUTABLES", image.executables.join(" "))
                .variable("NODE_PACKAGE", self.arch.node_package())
                .variable("WARM", path(&warm));
            step.run(&assemble, &self.images)
        })?;
        Ok(raw)
    }

    fn image(&self, base: &Path, raw: &Path, on: OnProgress<'_>) -> Result<Image, GuestError> {
        let key = super::key(self.arch);
        let directory = self.images.join(&key);
        let beside = self.work().join("image");
        self.step(4, on, |step| {
            clear(&beside)?;
            let convert = Command::new("qemu-img")
                .arguments(["convert", "-O", "qcow2"])
                .arguments([raw.to_string_lossy(), beside.join("base.qcow2").to_string_lossy()]);
            step.run(&convert, &self.images)?;
            let kernel = self.boot_files(base, &beside, step)?;
            let manifest = self.manifest(&key, kernel, &beside)?;
            let text = serde_json::to_string_pretty(&manifest).map_err(|source| {
                GuestError::Unreadable { what: "the image's manifest".to_owned(), source }
            })?;
            write(&beside.join("manifest.json"), &(text + "\n"))?;
            read_only(&beside.join("base.qcow2"))?;
            if directory.exists() {
                // Not whole, or it would have been found.
                let aside = self.images.join(format!("{key}.broken"));
                drop(fs::remove_dir_all(&aside));
                rename(&directory, &aside)?;
            }
            rename(&beside, &directory)?;
            fs::remove_dir_all(self.work()).map_err(GuestError::file("remove", &self.work()))
        })?;
        Ok(Image { key, directory })
    }

    /// Takes kernel and first root out of the base system. Returns the kernel's release.
    fn boot_files(
        &self,
        base: &Path,
        to: &Path,
        step: &mut Step<'_>,
    ) -> Result<String, GuestError> {
        let boot = self.work().join("boot");
        clear(&boot)?;
        let extract = Command::new("tar")
            .argument("--extract")
            .argument(format!("--file={}", base.display()))
            .argument(format!("--directory={}", boot.display()))
            .arguments(["--strip-components=2", "--no-same-owner", "--wildcards"])
            .arguments(BOOT_FILES.map(|(_, pattern)| pattern));
        step.run(&extract, &self.images)?;
        let mut release = String::new();
        for entry in fs::read_dir(&boot).map_err(GuestError::file("read", &boot))? {
            let path = entry.map_err(GuestError::file("read", &boot))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for (short_name, _) in BOOT_FILES {
                if name.starts_with(short_name) {
                    rename(&path, &to.join(short_name))?;
                }
            }
            if let Some(version) = name.strip_prefix("vmlinuz-") {
                version.clone_into(&mut release);
            }
        }
        Ok(release)
    }

    fn manifest(
        &self,
        key: &str,
        kernel: String,
        directory: &Path,
    ) -> Result<ImageManifest, GuestError> {
        let files = ["base.qcow2", "initrd", "vmlinuz"];
        let sums = Command::new("sha256sum")
            .arguments(files.map(|file| directory.join(file).to_string_lossy().into_owned()));
        let sums = tool::output(&sums)?;
        let sha256: BTreeMap<String, String> = sums
            .lines()
            .zip(files)
            .filter_map(|(line, file)| {
                Some((file.to_owned(), line.split_whitespace().next()?.to_owned()))
            })
            .collect();
        Ok(ImageManifest {
            key: key.to_owned(),
            contract: CONTRACT,
            arch: self.arch.kernel().to_owned(),
            suite: self.recipe.debian.suite.clone(),
            kernel,
            node: self.recipe.node.version.clone(),
            openclaw: self.recipe.openclaw.version.clone(),
            sha256,
        })
    }

    fn write_files(to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), GuestError> {
        clear(to)?;
        assets::FILES
            .iter()
            .filter(|(path, _)| wanted(path))
            .try_for_each(|(path, text)| write(&to.join(path), text))
    }

    fn step(
        &self,
        index: usize,
        on: OnProgress<'_>,
        work: impl FnOnce(&mut Step<'_>) -> Result<(), GuestError>,
    ) -> Result<(), GuestError> {
        let begun = Instant::now();
        let name = STEPS[index];
        on(Progress::Step { index: index + 1, count: STEPS.len(), name: name.to_owned() });
        let mut on_line = |line: &str| {
            let told = line.strip_prefix("== ").or_else(|| line.strip_prefix("I: "));
            // What it says of its hooks is long and means little.
            if let Some(told) = told.filter(|told| !told.contains("hook")) {
                on(Progress::Detail(told.to_owned()));
            }
        };
        work(&mut Step { name, log: &self.log, on_line: &mut on_line })?;
        on(Progress::StepDone { elapsed: begun.elapsed() });
        Ok(())
    }
}

/// A user namespace in which this user is root and has a range of other ids.
const NAMESPACE: [&str; 3] = ["--map-root-user", "--map-auto", "--"];

/// The apt sources of this machine.
fn machine_sources() -> Vec<Source> {
    let mut paths = vec![PathBuf::from("/etc/apt/sources.list")];
    let more = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    paths.extend(more.map(|entry| entry.path()));
    paths.sort();
    paths
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| parse_sources(&text))
        .collect()
}

fn check_space(path: &Path, needed_mib: u64) -> Result<(), GuestError> {
    let about = rustix::fs::statvfs(path)
        .map_err(|errno| GuestError::file("look at the disk of", path)(errno.into()))?;
    let free_mib = about.f_bavail.saturating_mul(about.f_frsize) >> 20;
    if free_mib >= needed_mib {
        return Ok(());
    }
    Err(GuestError::Space { path: path.to_owned(), needed_mib, free_mib })
}

fn asset(path: &str) -> &'static str {
    assets::FILES.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text)
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    hash.update(BUILDER_VERSION.to_le_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    short(hash)
}

fn make_directory(path: &Path) -> Result<(), GuestError> {
    fs::create_dir_all(path).map_err(GuestError::file("make", path))
}

/// Makes an empty directory of whatever is there.
fn clear(path: &Path) -> Result<(), GuestError> {
    if path.exists() {
        fs::remove_dir_all(path).map_err(GuestError::file("remove", path))?;
    }
    make_directory(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), GuestError> {
    fs::rename(from, to).map_err(GuestError::file("rename", from))
}

fn read_only(path: &Path) -> Result<(), GuestError> {
    let about = fs::metadata(path).map_err(GuestError::file("read", path))?;
    let mut permissions = about.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).map_err(GuestError::file("protect", path))
}

fn write(path: &Path, text: &str) -> Result<(), GuestError> {
    if let Some(directory) = path.parent() {
        make_directory(directory)?;
    }
    let mut file = File::create(path).map_err(GuestError::file("write", path))?;
    file.write_all(text.as_bytes()).map_err(GuestError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_named_with_both_figures() {
        let error = check_space(Path::new("/"), u64::MAX).unwrap_err();
        let GuestError::Space { needed_mib, free_mib, .. } = &error else { panic!("{error}") };
        assert!(needed_mib > free_mib);
        assert!(error.hint().unwrap().contains("SANCTUM_CACHE"));
    }
}
