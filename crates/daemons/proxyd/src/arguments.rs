//! The command line.

use std::path::PathBuf;

use sanctum_secrets::Secrets;

const HELP: &str = "\
The LLM gateway: callers with a key ask for models by name, seats answer.

Usage: proxyd --config FILE --secrets DIR

  --config FILE   the configuration, TOML
  --secrets DIR   the directory of keys, one file of mode 600 each
  --help          this text
  --version       the version

SANCTUM_LOG filters the log on standard error (info unless told).";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Arguments {
    /// Run with these.
    Run { config: PathBuf, secrets: Secrets },
    /// Say this and end.
    Say(String),
}

/// Why a command line asks for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("`{0}` is not known here")]
    Unknown(String),
    #[error("`{0}` needs a value")]
    NoValue(&'static str),
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, ArgumentError> {
        let (mut config, mut secrets) = (None, None);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(Self::Say(HELP.to_owned())),
                "--version" | "-V" => {
                    return Ok(Self::Say(format!("proxyd {}", env!("CARGO_PKG_VERSION"))));
                }
                "--config" => {
                    config = Some(words.next().ok_or(ArgumentError::NoValue("--config"))?);
                }
                "--secrets" => {
                    secrets = Some(words.next().ok_or(ArgumentError::NoValue("--secrets"))?);
                }
                _ => return Err(ArgumentError::Unknown(word)),
            }
        }
        Ok(Self::Run {
            config: config.ok_or(ArgumentError::Missing("--config"))?.into(),
            secrets: Secrets::at(secrets.ok_or(ArgumentError::Missing("--secrets"))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_are_needed_and_nothing_else_is_known() {
        let parse = |line: &str| Arguments::parse(line.split_whitespace().map(str::to_owned));
        assert!(matches!(parse("--secrets s --config c"), Ok(Arguments::Run { .. })));
        assert!(matches!(parse("--help"), Ok(Arguments::Say(_))));
        for (line, error) in [
            ("--config c", ArgumentError::Missing("--secrets")),
            ("--config", ArgumentError::NoValue("--config")),
            ("--config c x", ArgumentError::Unknown("x".to_owned())),
        ] {
            assert_eq!(parse(line).unwrap_err(), error, "{line}");
        }
    }
}
