//! The owner thread's work, on the scripted engine and on one that notes what it is asked.

use tokio::sync::mpsc;

use super::*;
use crate::engine::About;
use crate::engine::scripted::Scripted;
use crate::sampler::Sampling;

/// Notes each chunk it is given, fails on command, and says the same thing for ever.
struct Noting {
    inner: Scripted,
    chunks: Vec<usize>,
    kept: Vec<usize>,
    fails_after: Option<usize>,
}

impl Noting {
    fn new(context_tokens: usize) -> Self {
        let inner = Scripted::new(context_tokens);
        Self { inner, chunks: Vec::new(), kept: Vec::new(), fails_after: None }
    }
}

impl Engine for Noting {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn tokenize(&self, prompt: &str) -> Vec<Token> {
        self.inner.tokenize(prompt)
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        self.inner.piece(token)
    }

    fn keep(&mut self, tokens: usize) -> Result<(), EngineError> {
        self.kept.push(tokens);
        self.inner.keep(tokens)
    }

    fn extend(&mut self, tokens: &[Token]) -> Result<&[f32], EngineError> {
        self.chunks.push(tokens.len());
        if self.fails_after.is_some_and(|number| self.chunks.len() > number) {
            return Err(EngineError::Work("told to".to_owned()));
        }
        self.inner.extend(tokens)
    }
}

fn ask(engine: &mut dyn Engine, known: &mut Vec<Token>, text: &str, max: usize) -> Vec<Event> {
    let (events, mut receiver) = mpsc::channel(1_000);
    let job = job(text, max, events);
    let (queue, pulse) = (Queue::new(1), Pulse::default());
    let mut desk = Desk { engine, queue: &queue, pulse: &pulse, known: std::mem::take(known) };
    desk.answer(&job);
    *known = desk.known;
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

fn job(text: &str, max: usize, events: mpsc::Sender<Event>) -> Job {
    Job {
        id: "test".to_owned(),
        prompt: format!("<|turn|>user\n{text}<|end|><|turn|>assistant\n"),
        sampling: Sampling::GREEDY,
        stops: Vec::new(),
        answer_tokens_max: max,
        events,
    }
}

fn text(events: &[Event]) -> String {
    events
        .iter()
        .map(|event| match event {
            Event::Text(text) => text.as_str(),
            Event::Began | Event::Ended(_) | Event::Failed(_) => "",
        })
        .collect()
}

#[test]
fn an_answer_begins_flows_and_ends_with_what_it_took() {
    let events = ask(&mut Scripted::new(1_000), &mut Vec::new(), "count to 3", 100);
    assert_eq!(events.first(), Some(&Event::Began));
    assert_eq!(text(&events), "1 2 3");
    let Some(Event::Ended(ending)) = events.last() else { panic!("{events:?}") };
    assert_eq!(ending.reason, Reason::Stop);
    assert_eq!(ending.answer_tokens, 6);
}

#[test]
fn an_answer_that_reaches_its_limit_says_so() {
    let events = ask(&mut Scripted::new(1_000), &mut Vec::new(), "count to 3", 2);
    assert_eq!(text(&events), "1 ");
    assert!(matches!(events.last(), Some(Event::Ended(Ending { reason: Reason::Length, .. }))));
}

#[test]
fn an_answer_ends_where_the_context_does() {
    let prompt = Scripted::new(9).tokenize(&job("count to 99", 1, mpsc::channel(1).0).prompt);
    let events = ask(&mut Scripted::new(prompt.len() + 3), &mut Vec::new(), "count to 99", 100);
    assert_eq!(text(&events), "1 2");
    assert!(matches!(events.last(), Some(Event::Ended(Ending { reason: Reason::Length, .. }))));
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() {
    let events = ask(&mut Scripted::new(20), &mut Vec::new(), "a long question", 100);
    let [Event::Failed(Failure::TooLong { prompt_tokens, context_tokens })] = events[..] else {
        panic!("{events:?}")
    };
    assert!(prompt_tokens > 20);
    assert_eq!(context_tokens, 20);
}

#[test]
fn only_whole_chunks_of_a_known_prompt_are_used_again() {
    let mut engine = Noting::new(4_000);
    let mut known = Vec::new();
    let long = "x".repeat(2 * PREFILL_CHUNK_TOKENS + 10);
    let cold = ask(&mut engine, &mut known, &long, 5);
    let cold_chunks = std::mem::take(&mut engine.chunks);
    let warm = ask(&mut engine, &mut known, &long, 5);
    assert_eq!(cold_chunks[..2], [PREFILL_CHUNK_TOKENS; 2]);
    assert_eq!(engine.kept, [0, 2 * PREFILL_CHUNK_TOKENS]);
    assert_eq!(engine.chunks, cold_chunks[2..]);
    assert_eq!(text(&cold), text(&warm));
}

#[test]
fn a_prompt_of_whole_chunks_still_has_its_last_chunk_evaluated() {
    let mut engine = Noting::new(4_000);
    let mut known = Vec::new();
    let frame = engine.tokenize(&job("", 1, mpsc::channel(1).0).prompt).len();
    let exact = "x".repeat(2 * PREFILL_CHUNK_TOKENS - frame);
    for _ in 0..2 {
        drop(ask(&mut engine, &mut known, &exact, 1));
    }
    assert_eq!(engine.kept, [0, PREFILL_CHUNK_TOKENS]);
}

#[test]
fn after_an_error_nothing_is_used_again() {
    let mut engine = Noting::new(4_000);
    let mut known = Vec::new();
    let long = "x".repeat(2 * PREFILL_CHUNK_TOKENS);
    drop(ask(&mut engine, &mut known, &long, 1));
    engine.fails_after = Some(engine.chunks.len());
    let failed = ask(&mut engine, &mut known, &long, 1);
    assert!(matches!(failed.last(), Some(Event::Failed(Failure::Engine(_)))));
    assert!(known.is_empty());
    assert_eq!(engine.kept.last(), Some(&0));
}

#[test]
fn a_caller_that_left_costs_at_most_one_step() {
    let mut engine = Noting::new(4_000);
    let (events, receiver) = mpsc::channel(1_000);
    let (queue, pulse) = (Queue::new(1), Pulse::default());
    drop(receiver);
    let mut desk = Desk { engine: &mut engine, queue: &queue, pulse: &pulse, known: Vec::new() };
    desk.answer(&job("count to 1000", 1_000, events));
    assert!(engine.chunks.len() <= 1);
}
