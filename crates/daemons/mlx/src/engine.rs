//! What a model must be able to do to be served, and the engines that can do it.
//!
//! An engine evaluates tokens and says how likely each next one is. It does not choose: templates,
//! sampling, stop strings and the reuse of earlier work are ours, the same for every engine.

#[cfg(feature = "llama")]
pub mod llama;
pub mod scripted;

use std::collections::BTreeSet;
use std::path::PathBuf;

/// One token of a model's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i32);

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The engine's name.
    pub engine: &'static str,
    /// The family the model belongs to, in its file's words: `llama`, `qwen3`.
    pub architecture: String,
    /// Tokens of prompt and answer together.
    pub context_tokens: usize,
    /// The chat template, in Jinja.
    pub template: String,
    /// The text of the token that begins a text; empty if there is none.
    pub beginning: String,
    /// The text of the token that ends a text; empty if there is none.
    pub end: String,
    /// The tokens that end an answer.
    pub ends: BTreeSet<Token>,
    /// What the weights take, in bytes.
    pub weights_bytes: u64,
    /// What the attention cache takes when the context is full, in bytes.
    pub cache_bytes: u64,
}

/// A loaded model with one sequence of evaluated tokens. A seam: llama.cpp, the script, later MLX.
pub trait Engine {
    /// What is known of the model.
    fn about(&self) -> &About;

    /// Turns a rendered prompt into tokens. Texts that name special tokens become those tokens,
    /// and the token that begins a text is added where the model wants it and it is not there.
    fn tokenize(&self, prompt: &str) -> Vec<Token>;

    /// The bytes of a token of an answer: part of a character, maybe; none for a special token.
    fn piece(&self, token: Token) -> Vec<u8>;

    /// Forgets all but the first `tokens` evaluated ones.
    ///
    /// # Errors
    ///
    /// When the model cannot forget a part. To forget all is always possible.
    fn keep(&mut self, tokens: usize) -> Result<(), EngineError>;

    /// Evaluates `tokens` (at least one, at most [`PREFILL_CHUNK_TOKENS`]) after those that are
    /// there, and returns one logit per token of the vocabulary for what comes next.
    ///
    /// # Errors
    ///
    /// When the engine fails. What it holds is then not to be trusted: forget all.
    fn extend(&mut self, tokens: &[Token]) -> Result<&[f32], EngineError>;
}

/// Prompt tokens evaluated at once. Between two chunks a request can be given up.
pub const PREFILL_CHUNK_TOKENS: usize = 256;

/// Why an engine cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine is not part of this program.
    #[error("this build has no {0} engine")]
    NotBuilt(&'static str),
    /// The model's file cannot be opened.
    #[error("cannot open the model `{path}`", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("`{path}` is not a GGUF model: {what}", path = path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        what: &'static str,
    },
    /// The engine does not take the model.
    #[error("cannot load the model `{path}`: {reason}", path = path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The engine's own words.
        reason: String,
    },
    /// The engine failed at work.
    #[error("the engine cannot go on: {0}")]
    Work(String),
}

/// Which engine to load, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// A fixed rule instead of a model, for tests.
    Scripted {
        /// Tokens of prompt and answer together.
        context_tokens: usize,
    },
    /// llama.cpp.
    Llama {
        /// The model, a GGUF file.
        model: PathBuf,
        /// Tokens of prompt and answer together.
        context_tokens: usize,
        /// Threads that compute.
        threads: usize,
    },
}

/// Loads the engine and lends it to `work`, on the calling thread, which owns it.
///
/// # Errors
///
/// When the engine cannot be loaded; `work` is then not called.
pub fn with_engine(
    choice: &EngineChoice,
    work: impl FnOnce(&mut dyn Engine),
) -> Result<(), EngineError> {
    match choice {
        EngineChoice::Scripted { context_tokens } => {
            work(&mut scripted::Scripted::new(*context_tokens));
            Ok(())
        }
        #[cfg(feature = "llama")]
        EngineChoice::Llama { model, context_tokens, threads } => {
            llama::with_llama(model, *context_tokens, *threads, |engine| work(engine))
        }
        #[cfg(not(feature = "llama"))]
        EngineChoice::Llama { .. } => Err(EngineError::NotBuilt("llama")),
    }
}

/// What this build and this machine can do, one line an engine.
pub fn engines() -> String {
    #[cfg(feature = "llama")]
    let llama = llama::capabilities();
    #[cfg(not(feature = "llama"))]
    let llama = "not in this build".to_owned();
    format!("llama     {llama}\nscripted  a fixed rule instead of a model, for tests\n")
}
