//! llama.cpp: GGUF models on the processor (and on Metal, where the crate brings it).
//!
//! The attention cache is filled through [`Engine::extend`] alone, in chunks that the caller
//! makes, because what a chunk holds decides how its numbers are rounded.

mod native;

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::path::Path;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use super::{About, Engine, EngineError, PREFILL_CHUNK_TOKENS, Token};

/// The first bytes of every model file.
const GGUF_MAGIC: [u8; 4] = *b"GGUF";
/// Bytes of one number of the attention cache: 16-bit floats.
const CACHE_NUMBER_BYTES: u64 = 2;
/// The one sequence this slice works on.
const SEQUENCE: i32 = 0;

/// What llama.cpp was compiled for, as it says itself.
pub(super) fn capabilities() -> String {
    let info = native::system_info();
    let told: Vec<&str> = info.split('|').map(str::trim).filter(|part| !part.is_empty()).collect();
    told.join(", ")
}

/// Loads a model and lends it to `work`.
///
/// # Errors
///
/// When the file is missing, no model, or of a kind llama.cpp does not know.
pub(super) fn with_llama(
    path: &Path,
    context_tokens: usize,
    threads: usize,
    work: impl FnOnce(&mut dyn Engine),
) -> Result<(), EngineError> {
    check_magic(path)?;
    let refused = |reason: String| EngineError::Load { path: path.to_owned(), reason };
    let complaints = native::watch_log();
    let backend = LlamaBackend::init().map_err(|error| refused(error.to_string()))?;
    let model = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default())
        .map_err(|error| refused(complaints.first().unwrap_or_else(|| error.to_string())))?;
    let about = describe(&model, context_tokens).map_err(|error| refused(error.to_owned()))?;
    let chunk = u32::try_from(PREFILL_CHUNK_TOKENS).unwrap_or(u32::MAX);
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    let params = LlamaContextParams::default()
        .with_n_ctx(u32::try_from(about.context_tokens).ok().and_then(NonZeroU32::new))
        .with_n_batch(chunk)
        .with_n_ubatch(chunk)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_n_seq_max(1);
    let context = model
        .new_context(&backend, params)
        .map_err(|error| refused(complaints.first().unwrap_or_else(|| error.to_string())))?;
    work(&mut Llama {
        about,
        model: &model,
        context,
        batch: LlamaBatch::new(PREFILL_CHUNK_TOKENS, 1),
        evaluated: 0,
    });
    Ok(())
}

fn check_magic(path: &Path) -> Result<(), EngineError> {
    let open = |source| EngineError::Open { path: path.to_owned(), source };
    let mut magic = [0; GGUF_MAGIC.len()];
    match File::open(path).map_err(open)?.read_exact(&mut magic) {
        Ok(()) if magic == GGUF_MAGIC => Ok(()),
        Ok(()) => Err(EngineError::NotAModel {
            path: path.to_owned(),
            what: "it does not begin with `GGUF`",
        }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(EngineError::NotAModel { path: path.to_owned(), what: "it is too short" })
        }
        Err(error) => Err(open(error)),
    }
}

fn describe(model: &LlamaModel, context_tokens: usize) -> Result<About, &'static str> {
    let vocab = model.vocab();
    let template = model
        .meta_val_str("tokenizer.chat_template")
        .map_err(|_| "it carries no chat template, so it is not made for conversation")?;
    let trained_tokens = usize::try_from(model.n_ctx_train()).unwrap_or(usize::MAX);
    if context_tokens > trained_tokens {
        tracing::warn!(
            asked = context_tokens,
            trained = trained_tokens,
            "the model was made for a shorter context, using that"
        );
    }
    let context_tokens = context_tokens.min(trained_tokens);
    let text = |token| match vocab.text(token) {
        Some(text) => text.to_string_lossy().into_owned(),
        None => String::new(),
    };
    Ok(About {
        engine: "llama",
        architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
        context_tokens,
        template,
        beginning: text(vocab.bos()),
        end: text(vocab.eos()),
        ends: vocab.tokens().filter(|token| vocab.is_eog(*token)).map(|t| Token(t.0)).collect(),
        weights_bytes: model.size(),
        cache_bytes: cache_bytes(model, context_tokens),
    })
}

/// Keys and values of every layer for every position.
fn cache_bytes(model: &LlamaModel, context_tokens: usize) -> u64 {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let told = |what: &str| {
        let key = format!("{architecture}.attention.{what}_length");
        model.meta_val_str(&key).ok().and_then(|text| text.parse::<u64>().ok())
    };
    let width = u64::try_from(model.n_embd()).unwrap_or(0) / u64::from(model.n_head().max(1));
    let head = told("key").unwrap_or(width) + told("value").unwrap_or(width);
    u64::from(model.n_layer())
        * u64::from(model.n_head_kv())
        * head
        * CACHE_NUMBER_BYTES
        * u64::try_from(context_tokens).unwrap_or(u64::MAX)
}

struct Llama<'model> {
    about: About,
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    /// Tokens in the attention cache.
    evaluated: usize,
}

impl Engine for Llama<'_> {
    fn about(&self) -> &About {
        &self.about
    }

    fn tokenize(&self, prompt: &str) -> Vec<Token> {
        let vocab = self.model.vocab();
        let tokens = vocab.tokenize(prompt.as_bytes(), false, true);
        let bos = vocab.bos();
        let begins = vocab.should_add_bos() && tokens.first() != Some(&bos);
        begins.then_some(bos).into_iter().chain(tokens).map(|token| Token(token.0)).collect()
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        self.model.vocab().token_to_piece(LlamaToken::new(token.0), false, None)
    }

    fn keep(&mut self, tokens: usize) -> Result<(), EngineError> {
        if tokens == 0 {
            self.context.clear_kv_cache();
        } else if tokens < self.evaluated {
            let from = u32::try_from(tokens).ok();
            self.context
                .kv_cache_seq_rm(SEQUENCE, from, None)
                .map_err(|error| EngineError::Work(error.to_string()))?;
        }
        self.evaluated = self.evaluated.min(tokens);
        Ok(())
    }

    fn extend(&mut self, tokens: &[Token]) -> Result<&[f32], EngineError> {
        self.batch.clear();
        for (at, token) in tokens.iter().enumerate() {
            let position = i32::try_from(self.evaluated + at)
                .map_err(|_| EngineError::Work("the context is too long".to_owned()))?;
            let last = at + 1 == tokens.len();
            self.batch
                .add(LlamaToken::new(token.0), position, &[SEQUENCE], last)
                .map_err(|error| EngineError::Work(error.to_string()))?;
        }
        self.context
            .decode(&mut self.batch)
            .map_err(|error| EngineError::Work(error.to_string()))?;
        self.evaluated += tokens.len();
        Ok(self.context.get_logits_ith(self.batch.n_tokens() - 1))
    }
}
