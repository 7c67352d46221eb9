//! The one thread that owns the engine, and the queue in front of it.
//!
//! ```text
//!  handlers ──push──▶ Queue (bounded) ──next──▶ owner thread: Engine
//!     ▲                                            │ beats the Pulse between any two steps
//!     └──────────── Event, Event, … ◀──────────────┘
//! ```
//!
//! Requests are answered one after another. A request whose caller is gone is dropped from the
//! queue, or given up between two prompt chunks or two tokens. Nothing here waits for a caller:
//! the way back holds a whole answer.

mod answer;
mod pulse;
mod queue;

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::engine::{About, EngineChoice, EngineError, with_engine};
use crate::sampler::Sampling;

pub use pulse::{Health, Pulse};
pub use queue::{Full, Queue};

/// A request, ready to be evaluated.
#[derive(Debug)]
pub struct Job {
    /// Its number in the log.
    pub id: String,
    /// The rendered prompt.
    pub prompt: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings the answer ends before.
    pub stops: Vec<String>,
    /// The longest answer, in tokens; what fits in the context may be less.
    pub answer_tokens_max: usize,
    /// The way back. The caller is gone when it is closed.
    pub events: mpsc::Sender<Event>,
}

/// What the owner thread tells a caller, in order: `Began`, `Text`s, `Ended`; or `Failed` at any
/// point, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The prompt fits and its evaluation begins.
    Began,
    /// More of the answer.
    Text(String),
    /// The answer is whole.
    Ended(Ending),
    /// There will be no answer, or no more of it.
    Failed(Failure),
}

/// How an answer ended, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended.
    pub reason: Reason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that were still known from the request before.
    pub cached_tokens: usize,
    /// Tokens of the answer; the one that ended it is counted.
    pub answer_tokens: usize,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model ended it, or a stop string did.
    Stop,
    /// It reached the limit of tokens.
    Length,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {prompt_tokens} tokens and the context of this seat holds {context_tokens}, answer included"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens of prompt and answer together.
        context_tokens: usize,
    },
    /// The engine failed.
    #[error("{0}")]
    Engine(String),
}

/// The running owner thread, seen from outside.
#[derive(Debug)]
pub struct Executor {
    /// What is known of the model.
    pub about: About,
    /// Where requests go.
    pub queue: Arc<Queue>,
    /// Signs of life.
    pub pulse: Arc<Pulse>,
    /// Completes when the thread has ended; with an error if it did not mean to.
    pub ended: oneshot::Receiver<()>,
}

/// Why the owner thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine cannot be loaded.
    #[error("cannot load the engine")]
    Engine(#[from] EngineError),
    /// The system gives no thread.
    #[error("cannot start the engine's thread")]
    Thread(#[from] std::io::Error),
    /// The thread ended without a word.
    #[error("the engine's thread ended while it loaded the model")]
    Gone,
}

impl Executor {
    /// Starts the thread and waits until the model is loaded.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded.
    pub fn start(choice: EngineChoice, queue_length_max: usize) -> Result<Self, StartError> {
        let queue = Arc::new(Queue::new(queue_length_max));
        let pulse = Arc::new(Pulse::default());
        let (loaded, told) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let (thread_queue, thread_pulse) = (Arc::clone(&queue), Arc::clone(&pulse));
        let work = move || {
            let outcome = with_engine(&choice, |engine| {
                // The starter waits for this; if it is gone there is nobody to serve.
                if loaded.send(Ok(engine.about().clone())).is_ok() {
                    answer::serve(engine, &thread_queue, &thread_pulse);
                }
            });
            match outcome {
                Ok(()) => drop(end.send(())),
                Err(error) => drop(loaded.send(Err(error))),
            }
        };
        drop(thread::Builder::new().name("engine".to_owned()).spawn(work)?);
        let about = told.recv().map_err(|_| StartError::Gone)??;
        Ok(Self { about, queue, pulse, ended })
    }
}
