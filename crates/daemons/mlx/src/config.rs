//! The command line, and what it comes to.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use sanctum_secrets::{Secret, SecretError, SecretName, SecretNameError, Secrets};

use crate::engine::EngineChoice;

/// The shortest context a conversation can be had in, in tokens.
const CONTEXT_TOKENS_MIN: usize = 64;
/// The longest context that is believed, in tokens.
const CONTEXT_TOKENS_MAX: usize = 1 << 22;
/// The longest queue, in requests.
const QUEUE_LENGTH_MAX: usize = 1024;

const EXIT_CODES: &str = "Exit codes: 0 stopped when told · 1 failed at work · 64 wrong command \
    line · 65 the model cannot be loaded · 69 the address cannot be bound · 77 the key cannot be \
    read";

/// Serves one local model over the OpenAI interface, on loopback.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The loopback address to serve on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:1337", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The name the model is served under
    #[arg(long, default_value = "general")]
    pub name: String,
    /// The model, a GGUF file
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Tokens of prompt and answer together
    #[arg(long, default_value_t = 8192, value_name = "TOKENS")]
    pub context: usize,
    /// Threads that compute [default: what the machine has]
    #[arg(long, value_name = "NUMBER")]
    pub threads: Option<NonZeroUsize>,
    /// The temperature where a request names none, 0 to 2
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f32,
    /// What a token loses, where a request names none, for each time it was chosen before, 0 to 2
    #[arg(long, default_value_t = 0.0)]
    pub frequency_penalty: f32,
    /// Requests that may wait for their turn
    #[arg(long, default_value_t = 16, value_name = "NUMBER")]
    pub queue: usize,
    /// The key callers must send as a bearer token: a file of mode 600
    #[arg(long, value_name = "FILE", conflicts_with = "no_key")]
    pub key_file: Option<PathBuf>,
    /// Answers any caller on this machine
    #[arg(long)]
    pub no_key: bool,
    /// What computes
    #[arg(long, value_enum, default_value_t = EngineName::Llama)]
    pub engine: EngineName,
    /// Says what this build and this machine can do, and ends
    #[arg(long)]
    pub engines: bool,
}

/// The engines by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// llama.cpp, for models in GGUF files.
    Llama,
    /// A fixed rule instead of a model, for tests.
    Scripted,
}

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The loopback address to serve on.
    pub listen: SocketAddr,
    /// The name the model is served under.
    pub name: String,
    /// What computes.
    pub engine: EngineChoice,
    /// The temperature where a request names none.
    pub temperature: f32,
    /// The frequency penalty where a request names none.
    pub frequency_penalty: f32,
    /// Requests that may wait.
    pub queue_length_max: usize,
    /// What callers must show.
    pub access: Access,
}

/// Who is answered.
#[derive(Debug)]
pub enum Access {
    /// Any program on this machine.
    Open,
    /// Who knows the key.
    Key(Secret<String>),
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address is not loopback.
    #[error("cannot serve on {0}: this seat is for this machine alone, use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// There is no model.
    #[error("no model is named: use `--model FILE.gguf`")]
    NoModel,
    /// A key is neither named nor waived.
    #[error(
        "no key is named: use `--key-file FILE`, or `--no-key` to answer any program on this machine"
    )]
    NoKey,
    /// A number is out of its range.
    #[error("`{flag}` is from {min} to {max}, not {given}")]
    Range {
        /// The flag.
        flag: &'static str,
        /// The least.
        min: String,
        /// The most.
        max: String,
        /// What was given.
        given: String,
    },
    /// The name is not one a header can carry.
    #[error("`{0}` is not a name for a model: use 1 to 64 letters, digits, `-`, `_`, `.` and `/`")]
    Name(String),
    /// The key's path names no file that can be a secret's.
    #[error("cannot use the key file `{path}`", path = path.display())]
    KeyName {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        source: SecretNameError,
    },
    /// The key cannot be read.
    #[error("cannot read the key")]
    Key(#[source] SecretError),
}

impl Config {
    /// Checks the command line and reads the key. `threads` is what the machine has.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_arguments(
        arguments: Arguments,
        threads: NonZeroUsize,
    ) -> Result<Self, ConfigError> {
        let Arguments { listen, name, model, context, temperature, queue, .. } = arguments;
        if !listen.ip().is_loopback() {
            return Err(ConfigError::NotLoopback(listen));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(ConfigError::Name(name));
        }
        within("--context", context, CONTEXT_TOKENS_MIN, CONTEXT_TOKENS_MAX)?;
        within("--queue", queue, 1, QUEUE_LENGTH_MAX)?;
        within("--temperature", temperature, 0.0, 2.0)?;
        let frequency_penalty = arguments.frequency_penalty;
        within("--frequency-penalty", frequency_penalty, 0.0, 2.0)?;
        let threads = arguments.threads.unwrap_or(threads).get();
        let engine = match arguments.engine {
            EngineName::Scripted => EngineChoice::Scripted { context_tokens: context },
            EngineName::Llama => EngineChoice::Llama {
                model: model.ok_or(ConfigError::NoModel)?,
                context_tokens: context,
                threads,
            },
        };
        let access = match (arguments.key_file, arguments.no_key) {
            (Some(path), _) => Access::Key(read_key(path)?),
            (None, true) => Access::Open,
            (None, false) => return Err(ConfigError::NoKey),
        };
        Ok(Self {
            listen,
            name,
            engine,
            temperature,
            frequency_penalty,
            queue_length_max: queue,
            access,
        })
    }
}

fn within<T: Copy + PartialOrd + ToString>(
    flag: &'static str,
    given: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if given >= min && given <= max {
        return Ok(());
    }
    let (min, max, given) = (min.to_string(), max.to_string(), given.to_string());
    Err(ConfigError::Range { flag, min, max, given })
}

fn read_key(path: PathBuf) -> Result<Secret<String>, ConfigError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: SecretName = match name.parse() {
        Ok(name) => name,
        Err(source) => return Err(ConfigError::KeyName { path, source }),
    };
    let folder = path.parent().unwrap_or(&path);
    Secrets::at(folder).read(&name).map_err(ConfigError::Key)
}
