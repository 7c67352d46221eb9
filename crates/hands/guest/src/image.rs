//! The image: built once from the recipe, named by what it is made of, shared and never written.
//!
//! ```text
//! CACHE/images/KEY/{base.qcow2,vmlinuz,initrd,manifest.json}     the image
//! CACHE/images/stages/{base-KEY.tar,agent-KEY/node_modules}      what it is put together from
//! CACHE/images/work/                                             half-made; removed when seen
//! ```
//!
//! Each stage appears whole, by a rename, so a build that is broken off is taken up where it was.
//! A lock lets a second builder wait for the first.

mod build;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use sanctum_host::progress::OnProgress;
use sanctum_plan::guest::{Arch, Recipe, check_lockfile};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{GuestError, assets};

/// Changes when the builder makes another image from the same recipe.
const BUILDER_VERSION: u32 = 1;
/// Changes when host and guest would misunderstand each other: the shape of the instance's tar,
/// the programs the host calls by ssh, the two ports.
const CONTRACT: u32 = 1;
/// Hexadecimal digits of a key.
const KEY_DIGITS: usize = 16;

/// An image that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name: a hash of what it is made of.
    pub key: String,
    /// Where it is.
    pub directory: PathBuf,
}

impl Image {
    /// The disk that instances lie over. Never written.
    pub fn disk(&self) -> PathBuf {
        self.directory.join("base.qcow2")
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// The first root.
    pub fn initrd(&self) -> PathBuf {
        self.directory.join("initrd")
    }

    /// What the image is, for its readers.
    ///
    /// # Errors
    ///
    /// When the file is gone or of another make.
    pub fn manifest(&self) -> Result<ImageManifest, GuestError> {
        let path = self.directory.join("manifest.json");
        let text = fs::read_to_string(&path).map_err(GuestError::file("read", &path))?;
        serde_json::from_str(&text).map_err(|source| GuestError::Unreadable {
            what: format!("`{}`", path.display()),
            source,
        })
    }
}

/// `manifest.json` of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// The image's name.
    pub key: String,
    /// What host and guest expect of each other.
    pub contract: u32,
    /// The processor family.
    pub arch: String,
    /// The release of Debian.
    pub suite: String,
    /// The kernel's release.
    pub kernel: String,
    /// The version of Node.js.
    pub node: String,
    /// The version of the agent.
    pub openclaw: String,
    /// SHA-256 of each file beside this one.
    pub sha256: std::collections::BTreeMap<String, String>,
}

/// The name that the recipe inside this program gives its image.
pub fn key(arch: Arch) -> String {
    let mut hash = Sha256::new();
    let mut add = |name: &str, text: &str| {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add("builder", &BUILDER_VERSION.to_string());
    add("arch", arch.kernel());
    add("recipe", assets::RECIPE);
    add("package", assets::PACKAGE);
    add("lockfile", assets::LOCKFILE);
    add("assemble", assets::ASSEMBLE);
    add("warm", assets::WARM);
    for (path, text) in assets::FILES {
        add(path, text);
    }
    short(hash)
}

/// The image of the recipe inside this program, if it is built.
pub fn find(cache: &Path, arch: Arch) -> Option<Image> {
    by_key(cache, &key(arch))
}

/// The image of that name, if it is there and fits this program.
pub fn by_key(cache: &Path, key: &str) -> Option<Image> {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_hexdigit());
    let image = Image { key: key.to_owned(), directory: cache.join("images").join(key) };
    let whole = || image.disk().is_file() && image.kernel().is_file() && image.initrd().is_file();
    let fits = || image.manifest().is_ok_and(|manifest| manifest.contract == CONTRACT);
    (plain && whole() && fits()).then_some(image)
}

/// The image of the recipe inside this program, built if it is not there yet.
///
/// Blocks for the minutes that takes. Broken off at any point, it goes on from there the next time.
///
/// # Errors
///
/// What is missing, what does not fit, or what failed, with what to do in [`GuestError::hint`].
pub fn ensure(cache: &Path, arch: Arch, on: OnProgress<'_>) -> Result<Image, GuestError> {
    if let Some(image) = find(cache, arch) {
        return Ok(image);
    }
    let recipe = Recipe::parse(assets::RECIPE)?;
    check_lockfile(&recipe, assets::LOCKFILE)?;
    build::build(cache, arch, &recipe, on)
}

fn short(hash: Sha256) -> String {
    let mut digits = super::hexadecimal(&hash.finalize());
    digits.truncate(KEY_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_what_it_is_made_of() {
        let name = key(Arch::X86_64);
        assert_eq!(name.len(), KEY_DIGITS);
        assert_ne!(name, key(Arch::Aarch64));
    }

    #[test]
    fn an_image_that_is_not_whole_is_not_found() {
        let cache = tempfile::tempdir().unwrap();
        let directory = cache.path().join("images").join("ab12");
        fs::create_dir_all(&directory).unwrap();
        assert_eq!(by_key(cache.path(), "ab12"), None);
        for file in ["base.qcow2", "vmlinuz", "initrd"] {
            fs::write(directory.join(file), "x").unwrap();
        }
        assert_eq!(by_key(cache.path(), "ab12"), None, "without its manifest");
        assert_eq!(by_key(cache.path(), "../images/ab12"), None);
    }

    #[test]
    fn the_recipe_inside_this_program_can_be_used() {
        let recipe = Recipe::parse(assets::RECIPE).unwrap();
        check_lockfile(&recipe, assets::LOCKFILE).unwrap();
        for path in &recipe.image.executables {
            assert!(assets::FILES.iter().any(|(file, _)| file == path), "{path}");
        }
    }
}
