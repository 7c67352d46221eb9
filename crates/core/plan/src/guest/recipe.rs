//! What an image is made of.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Deserialize;

use super::{Arch, Patch};

/// The smallest disk that the agent and a little work fit on, in GiB.
const SIZE_MIN_GIB: u32 = 4;
/// The largest disk worth making, in GiB.
const SIZE_MAX_GIB: u32 = 1024;

/// A checked recipe: names are well formed, paths stay inside, nothing is listed twice over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The system.
    pub debian: Debian,
    /// What the agent runs on.
    pub node: Node,
    /// The agent.
    pub openclaw: OpenClaw,
    /// The file system.
    pub image: Image,
    /// Changes to the agent's program.
    #[serde(default, rename = "patch")]
    pub patches: Vec<Patch>,
}

/// `[debian]`: the system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// The release, by its code name.
    pub suite: String,
    /// Parts of the archive.
    pub components: Vec<String>,
    /// Packages beside the smallest set; `{arch}` stands for the processor family.
    pub packages: Vec<String>,
    /// Paths, with `*`, that are left out of every package.
    pub exclude: Vec<String>,
}

/// `[node]`: what the agent runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The version, which the lockfile must also name.
    pub version: String,
}

/// `[openclaw]`: the agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenClaw {
    /// The version, which the lockfile must also name.
    pub version: String,
    /// Paths below `node_modules` that are left out.
    pub prune: Vec<String>,
    /// Endings of the names of files that are left out.
    pub prune_endings: Vec<String>,
}

/// `[image]`: the file system and what starts in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its size; what is not used takes no space on the host.
    pub size_gib: u32,
    /// Its label.
    pub label: String,
    /// Files of the recipe, below `/`, that may be run.
    pub executables: Vec<String>,
    /// Units that start at boot.
    pub enabled_units: Vec<String>,
    /// Units that never start.
    pub masked_units: Vec<String>,
}

/// Why a text is no recipe.
#[derive(Debug)]
pub enum RecipeError {
    /// It is not TOML, or not these fields.
    Syntax(Box<toml::de::Error>),
    /// It says what cannot be; every such thing, in the order of the text.
    Meaning(Vec<String>),
    /// The lockfile cannot be read as one.
    Lockfile(serde_json::Error),
    /// The lockfile pins something else than the recipe.
    Pin {
        /// The package.
        package: String,
        /// The version in the recipe.
        recipe: String,
        /// The version in the lockfile, if it has the package.
        lockfile: Option<String>,
    },
    /// The lockfile names a package without a hash to check it by.
    Unchecked {
        /// The package.
        package: String,
    },
}

impl core::fmt::Display for RecipeError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Syntax(_) => formatter.write_str("the recipe is not well formed"),
            Self::Meaning(faults) => {
                write!(formatter, "the recipe cannot be used: {}", faults.join("; "))
            }
            Self::Lockfile(_) => formatter.write_str("the lockfile is not well formed"),
            Self::Pin { package, recipe, lockfile: Some(lockfile) } => write!(
                formatter,
                "the recipe pins `{package}` at {recipe} and the lockfile at {lockfile}"
            ),
            Self::Pin { package, recipe, lockfile: None } => write!(
                formatter,
                "the recipe pins `{package}` at {recipe} and the lockfile does not have it"
            ),
            Self::Unchecked { package } => {
                write!(formatter, "the lockfile has no hash to check `{package}` by")
            }
        }
    }
}

impl core::error::Error for RecipeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::Lockfile(error) => Some(error),
            Self::Meaning(_) | Self::Pin { .. } | Self::Unchecked { .. } => None,
        }
    }
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    ///
    /// [`RecipeError::Syntax`], or [`RecipeError::Meaning`] with every fault.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self =
            toml::from_str(text).map_err(|error| RecipeError::Syntax(Box::new(error)))?;
        let faults = recipe.faults();
        if faults.is_empty() { Ok(recipe) } else { Err(RecipeError::Meaning(faults)) }
    }

    /// The packages for that processor family.
    pub fn packages(&self, arch: Arch) -> Vec<String> {
        self.debian
            .packages
            .iter()
            .map(|package| package.replace("{arch}", arch.debian()))
            .collect()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |fits: bool, fault: String| {
            if !fits {
                faults.push(fault);
            }
        };
        let word = |text: &str| is_name(text, "-");
        expect(word(&self.debian.suite), format!("`{}` is no suite", self.debian.suite));
        for component in &self.debian.components {
            expect(is_name(component, "-"), format!("`{component}` is no component"));
        }
        for package in &self.debian.packages {
            let plain = package.replace("{arch}", "");
            expect(is_name(&plain, "+-."), format!("`{package}` is no package name"));
        }
        for path in &self.debian.exclude {
            expect(path.starts_with('/'), format!("`{path}` in `exclude` does not start with `/`"));
        }
        for path in self.openclaw.prune.iter().chain(&self.image.executables) {
            expect(is_inside(path), format!("`{path}` is no path inside"));
        }
        for path in self.patches.iter().flat_map(|patch| &patch.files) {
            expect(is_inside(path), format!("`{path}` is no path inside"));
            expect(path.matches('*').count() < 2, format!("`{path}` has more than one `*`"));
        }
        for patch in &self.patches {
            let found = !patch.find.is_empty() && patch.count > 0 && !patch.files.is_empty();
            expect(found, "a patch needs `files`, a text to `find` and a `count`".to_string());
        }
        for unit in self.image.enabled_units.iter().chain(&self.image.masked_units) {
            expect(is_unit(unit), format!("`{unit}` is no unit"));
        }
        for unit in &self.image.enabled_units {
            let masked = self.image.masked_units.contains(unit);
            expect(!masked, format!("`{unit}` is both enabled and masked"));
        }
        let size = self.image.size_gib;
        expect(
            (SIZE_MIN_GIB..=SIZE_MAX_GIB).contains(&size),
            format!("`size_gib` is {size}, use {SIZE_MIN_GIB} to {SIZE_MAX_GIB}"),
        );
        expect(is_name(&self.image.label, "-"), format!("`{}` is no label", self.image.label));
        faults
    }
}

/// Says whether the lockfile pins what the recipe pins, and can check every download.
///
/// # Errors
///
/// What differs, or what has no hash.
pub fn check_lockfile(recipe: &Recipe, lockfile: &str) -> Result<(), RecipeError> {
    let lock: Lock = serde_json::from_str(lockfile).map_err(RecipeError::Lockfile)?;
    let pins = [
        ("openclaw", &recipe.openclaw.version),
        (Arch::X86_64.node_package(), &recipe.node.version),
        (Arch::Aarch64.node_package(), &recipe.node.version),
    ];
    for (package, version) in pins {
        let locked = lock.packages.get(&format!("node_modules/{package}"));
        let locked = locked.and_then(|locked| locked.version.clone());
        if locked.as_ref() != Some(version) {
            return Err(RecipeError::Pin {
                package: package.to_string(),
                recipe: version.clone(),
                lockfile: locked,
            });
        }
    }
    let unchecked = lock
        .packages
        .iter()
        .find(|(path, locked)| !path.is_empty() && !locked.bundled() && locked.integrity.is_none());
    match unchecked {
        None => Ok(()),
        Some((path, _)) => Err(RecipeError::Unchecked { package: path.clone() }),
    }
}

#[derive(Deserialize)]
struct Lock {
    packages: alloc::collections::BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    version: Option<String>,
    integrity: Option<String>,
    in_bundle: Option<bool>,
}

impl Locked {
    /// Whether it comes inside another package, whose hash covers it.
    fn bundled(&self) -> bool {
        self.in_bundle == Some(true)
    }
}

fn is_name(text: &str, also: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c))
}

fn is_inside(path: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\'' || c == '"';
    !path.is_empty()
        && !path.contains(odd)
        && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".")
}

fn is_unit(unit: &str) -> bool {
    let kinds = ["service", "socket", "target", "timer", "mount", "automount", "path"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "@-_.\\".contains(c);
    unit.chars().all(plain)
        && unit
            .rsplit_once('.')
            .is_some_and(|(name, kind)| !name.is_empty() && kinds.contains(&kind))
}
