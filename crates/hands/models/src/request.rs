//! What a user may ask for: a name, a file on the hub, a file on this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::catalogue::{CatalogueEntry, catalogue};

/// The longest name of a model, in characters.
const NAME_LENGTH_MAX: usize = 64;
/// What begins a request for a file on the hub.
const HUB_PREFIX: &str = "hf:";
/// The revision that is meant where none is named.
const REVISION_DEFAULT: &str = "main";

/// The name of a stored model, and of its folder: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, a
/// letter or digit first, so that it cannot leave the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name a file suggests: its own, in small letters, without its ending.
    fn of_file(file: &str) -> Result<Self, RequestError> {
        let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        stem.to_ascii_lowercase().chars().map(plain).collect::<String>().parse()
    }
}

impl FromStr for ModelName {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let named = text.len() <= NAME_LENGTH_MAX
            && text.starts_with(first)
            && text.chars().all(|c| first(c) || "-_.".contains(c));
        if named { Ok(Self(text.into())) } else { Err(RequestError::Name(text.to_owned())) }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A file on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// The organisation and the repository: `Qwen/Qwen3-4B-GGUF`.
    pub repository: String,
    /// The file, with its folders.
    pub file: String,
    /// The branch, tag or commit.
    pub revision: String,
}

impl fmt::Display for HubFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{HUB_PREFIX}{}/{}@{}", self.repository, self.file, self.revision)
    }
}

/// What is to be pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A model of the catalogue.
    Named(&'static CatalogueEntry),
    /// A file on the hub, `hf:ORG/REPO/FILE[@REVISION]`.
    Hub(HubFile),
    /// A file on this machine.
    File(PathBuf),
}

/// A text that asks for nothing that can be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The name is not one.
    #[error(
        "`{0}` is not a name for a model: use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, a letter or digit first"
    )]
    Name(String),
    /// The request looks like the hub's and is not.
    #[error(
        "`{0}` names no file on the hub: write `hf:ORGANISATION/REPOSITORY/FILE.gguf`, with `@REVISION` if you like"
    )]
    Hub(String),
    /// The catalogue has no such model.
    #[error("there is no model called `{0}`: known are {known}; or name a file, or `hf:ORGANISATION/REPOSITORY/FILE.gguf`", known = known())]
    Unknown(String),
}

fn known() -> String {
    catalogue().iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

impl Request {
    /// The name the model is stored under unless the user chooses another.
    ///
    /// # Errors
    ///
    /// When the file's own name suggests none.
    pub fn name(&self) -> Result<ModelName, RequestError> {
        match self {
            Self::Named(entry) => entry.name.parse(),
            Self::Hub(file) => ModelName::of_file(&file.file),
            Self::File(path) => ModelName::of_file(&path.to_string_lossy()),
        }
    }
}

impl FromStr for Request {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        if let Some(rest) = text.strip_prefix(HUB_PREFIX) {
            return parse_hub(rest)
                .map(Self::Hub)
                .ok_or_else(|| RequestError::Hub(text.to_owned()));
        }
        if let Some(entry) = catalogue().iter().find(|entry| entry.name == text) {
            return Ok(Self::Named(entry));
        }
        let is_file = Path::new(text).extension().is_some_and(|it| it.eq_ignore_ascii_case("gguf"));
        if text.contains('/') || is_file {
            return Ok(Self::File(PathBuf::from(text)));
        }
        Err(RequestError::Unknown(text.to_owned()))
    }
}

fn parse_hub(text: &str) -> Option<HubFile> {
    let (path, revision) = text.split_once('@').unwrap_or((text, REVISION_DEFAULT));
    let mut parts = path.splitn(3, '/');
    let (organisation, repository, file) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let good = [organisation, repository, revision].into_iter().chain(file.split('/')).all(plain);
    good.then(|| HubFile {
        repository: format!("{organisation}/{repository}"),
        file: file.to_owned(),
        revision: revision.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_hub_file_and_a_path_are_told_apart() {
        let named: Request = "smollm2-135m-instruct".parse().unwrap();
        assert!(matches!(named, Request::Named(entry) if entry.name == "smollm2-135m-instruct"));
        let hub: Request = "hf:Qwen/Qwen3-4B-GGUF/sub/Qwen3-4B-Q4_K_M.gguf@v1".parse().unwrap();
        assert_eq!(
            hub,
            Request::Hub(HubFile {
                repository: "Qwen/Qwen3-4B-GGUF".to_owned(),
                file: "sub/Qwen3-4B-Q4_K_M.gguf".to_owned(),
                revision: "v1".to_owned(),
            })
        );
        assert_eq!(hub.name().unwrap().as_str(), "qwen3-4b-q4_k_m");
        assert_eq!(
            "./My Model.gguf".parse::<Request>().unwrap().name().unwrap().as_str(),
            "my-model"
        );
        assert!(matches!("model.gguf".parse(), Ok(Request::File(_))));
    }

    #[test]
    fn what_cannot_be_had_is_said_with_what_can() {
        let error = "gpt-9".parse::<Request>().unwrap_err().to_string();
        assert!(error.contains("smollm2-135m-instruct"), "{error}");
        for bad in
            ["hf:", "hf:a/b", "hf:a/b/", "hf:a/../c.gguf", "hf:a/b/../c", "hf:a/b/c@", "hf:a b/c/d"]
        {
            assert!(matches!(bad.parse::<Request>(), Err(RequestError::Hub(_))), "{bad}");
        }
        for bad in ["", "../x", ".x", "A", "a/b", &"a".repeat(65)] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad}");
        }
    }
}
