//! Changes to the agent's program that must fit exactly or not be made.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

/// One replacement, with the number of places it must be made in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Paths below `node_modules`; one `*` stands for any characters but `/`.
    pub files: Vec<String>,
    /// The text to be found, as it is.
    pub find: String,
    /// What stands there afterwards.
    pub replace: String,
    /// How many times it must be found in all files together.
    pub count: usize,
}

/// A patch that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// A pattern names no file.
    NoFile {
        /// The pattern.
        pattern: String,
    },
    /// The text is there more or fewer times than it must be.
    Count {
        /// The text.
        find: String,
        /// The times it must be there.
        expected: usize,
        /// The times it is there.
        found: usize,
    },
}

impl core::fmt::Display for PatchError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoFile { pattern } => {
                write!(
                    formatter,
                    "a patch of the recipe names `{pattern}` and there is no such file"
                )
            }
            Self::Count { find, expected, found } => write!(
                formatter,
                "a patch of the recipe must find `{find}` {expected} times and finds it {found} times"
            ),
        }
    }
}

impl core::error::Error for PatchError {}

impl Patch {
    /// Whether `path`, below `node_modules`, is one that `pattern` names.
    pub fn names(pattern: &str, path: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == path,
            Some((before, after)) => path
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|middle| !middle.contains('/')),
        }
    }

    /// The text after the patch, and how many places it was made in.
    pub fn apply(&self, text: &str) -> (String, usize) {
        (text.replace(&self.find, &self.replace), text.matches(&self.find).count())
    }

    /// Says whether the patch was made in as many places as it must be.
    ///
    /// # Errors
    ///
    /// [`PatchError::Count`] if not.
    pub fn check(&self, found: usize) -> Result<(), PatchError> {
        if found == self.count {
            return Ok(());
        }
        Err(PatchError::Count { find: self.find.clone(), expected: self.count, found })
    }
}
