//! The owner thread's work: one answer after another.

use std::time::{Duration, Instant};

use sanctum_model::ErrorChain;
use tokio::sync::mpsc::error::TrySendError;

use super::queue::Next;
use super::{Ending, Event, Failure, Job, Pulse, Queue, Reason};
use crate::engine::{Engine, EngineError, PREFILL_CHUNK_TOKENS, Token};
use crate::sampler::Sampler;
use crate::text::{AnswerText, Piece};

/// The time from one sign of life to the next while there is nothing to do.
const IDLE_BEAT: Duration = Duration::from_millis(200);

/// Answers requests until the queue is closed.
pub(super) fn serve(engine: &mut dyn Engine, queue: &Queue, pulse: &Pulse) {
    let mut desk = Desk { engine, queue, pulse, known: Vec::new() };
    loop {
        pulse.beat(false);
        match queue.next(IDLE_BEAT) {
            Next::Job(job) => desk.answer(&job),
            Next::Nothing => {}
            Next::Closed => return,
        }
    }
}

/// Why work on a request stops before its end.
#[derive(Debug)]
enum Halt {
    CallerGone,
    SeatStops,
    Failed(Failure),
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Failed(Failure::Engine(ErrorChain(&error).to_string()))
    }
}

/// What an answer took, for the log.
#[derive(Debug, Default)]
struct Costs {
    prefill: Duration,
    decode: Duration,
}

struct Desk<'a> {
    engine: &'a mut dyn Engine,
    queue: &'a Queue,
    pulse: &'a Pulse,
    /// Prompt tokens that the engine evaluated in whole chunks, from the first on. Only these are
    /// used again: what was evaluated in other company is rounded otherwise, and the same request
    /// might then be answered in other words.
    known: Vec<Token>,
}

impl Desk<'_> {
    fn answer(&mut self, job: &Job) {
        let mut costs = Costs::default();
        let outcome = self.try_answer(job, &mut costs);
        self.pulse.beat(false);
        let prefill_ms = u64::try_from(costs.prefill.as_millis()).unwrap_or(u64::MAX);
        let decode_ms = u64::try_from(costs.decode.as_millis()).unwrap_or(u64::MAX);
        let request = job.id.as_str();
        match outcome {
            Ok(ending) => {
                let Ending { reason, prompt_tokens, cached_tokens, answer_tokens } = ending;
                tracing::info!(
                    request,
                    prompt_tokens,
                    cached_tokens,
                    answer_tokens,
                    ?reason,
                    prefill_ms,
                    decode_ms,
                    "answered"
                );
                drop(job.events.try_send(Event::Ended(ending)));
            }
            Err(Halt::CallerGone) => tracing::info!(request, prefill_ms, decode_ms, "caller gone"),
            Err(Halt::SeatStops) => {
                let failure = Failure::Engine("this seat is being stopped".to_owned());
                drop(job.events.try_send(Event::Failed(failure)));
            }
            Err(Halt::Failed(failure)) => {
                match &failure {
                    Failure::TooLong { .. } => {
                        tracing::info!(request, reason = %failure, "refused");
                    }
                    Failure::Engine(_) => {
                        tracing::error!(request, error = %failure, "cannot answer");
                        self.forget();
                    }
                }
                drop(job.events.try_send(Event::Failed(failure)));
            }
        }
    }

    fn try_answer(&mut self, job: &Job, costs: &mut Costs) -> Result<Ending, Halt> {
        self.pulse.beat(true);
        let prompt = self.engine.tokenize(&job.prompt);
        let context_tokens = self.engine.about().context_tokens;
        let room = context_tokens.saturating_sub(prompt.len());
        if room == 0 || prompt.is_empty() {
            let prompt_tokens = prompt.len();
            return Err(Halt::Failed(Failure::TooLong { prompt_tokens, context_tokens }));
        }
        let mut sampler = Sampler::new(job.sampling);
        let cached_tokens = self.keep_known(&prompt)?;
        tell(job, Event::Began)?;

        let started = Instant::now();
        let first = self.prefill(job, &prompt, cached_tokens, &mut sampler);
        costs.prefill = started.elapsed();

        let started = Instant::now();
        let answer_tokens_max = job.answer_tokens_max.min(room);
        let decoded = first.and_then(|it| self.decode(job, it, answer_tokens_max, &mut sampler));
        costs.decode = started.elapsed();
        let (reason, answer_tokens) = decoded?;
        Ok(Ending { reason, prompt_tokens: prompt.len(), cached_tokens, answer_tokens })
    }

    /// Keeps what the engine knows of this prompt, in whole chunks, and forgets the rest. At least
    /// one token is left to be evaluated, since the answer begins with what comes after it.
    fn keep_known(&mut self, prompt: &[Token]) -> Result<usize, EngineError> {
        let same = self.known.iter().zip(prompt).take_while(|(known, new)| known == new).count();
        let usable = same.min(prompt.len().saturating_sub(1));
        let kept = usable - usable % PREFILL_CHUNK_TOKENS;
        if let Err(error) = self.engine.keep(kept) {
            // Some models cannot forget a part. They start anew.
            tracing::debug!(error = %ErrorChain(&error), "cannot keep a part of what is known");
            self.known.clear();
            self.engine.keep(0)?;
            return Ok(0);
        }
        self.known.truncate(kept);
        Ok(kept)
    }

    /// Evaluates the prompt from `done` on and chooses the first token of the answer.
    fn prefill(
        &mut self,
        job: &Job,
        prompt: &[Token],
        done: usize,
        sampler: &mut Sampler,
    ) -> Result<Token, Halt> {
        let mut first = None;
        let mut left = prompt.len() - done;
        for chunk in prompt[done..].chunks(PREFILL_CHUNK_TOKENS) {
            self.check(job)?;
            let logits = self.engine.extend(chunk)?;
            left -= chunk.len();
            if left == 0 {
                first = Some(pick(sampler, logits)?);
            }
            if chunk.len() == PREFILL_CHUNK_TOKENS {
                self.known.extend_from_slice(chunk);
            }
        }
        first.ok_or_else(|| Halt::Failed(Failure::Engine("the prompt is empty".to_owned())))
    }

    /// Sends the answer, token by token. Returns why it ended and how many tokens it has.
    fn decode(
        &mut self,
        job: &Job,
        first: Token,
        answer_tokens_max: usize,
        sampler: &mut Sampler,
    ) -> Result<(Reason, usize), Halt> {
        let mut text = AnswerText::new(job.stops.clone());
        let mut token = first;
        let mut count = 1;
        let reason = loop {
            if self.engine.about().ends.contains(&token) {
                break Reason::Stop;
            }
            match text.push(&self.engine.piece(token)) {
                Piece::Text(more) if more.is_empty() => {}
                Piece::Text(more) => tell(job, Event::Text(more))?,
                Piece::Stopped(more) => {
                    if !more.is_empty() {
                        tell(job, Event::Text(more))?;
                    }
                    return Ok((Reason::Stop, count));
                }
            }
            if count >= answer_tokens_max {
                break Reason::Length;
            }
            self.check(job)?;
            token = pick(sampler, self.engine.extend(&[token])?)?;
            count += 1;
        };
        let rest = text.finish();
        if !rest.is_empty() {
            tell(job, Event::Text(rest))?;
        }
        Ok((reason, count))
    }

    /// Between any two steps: a sign of life, and a look whether anybody still wants the answer.
    fn check(&self, job: &Job) -> Result<(), Halt> {
        self.pulse.beat(true);
        if job.events.is_closed() {
            return Err(Halt::CallerGone);
        }
        if self.queue.is_closed() { Err(Halt::SeatStops) } else { Ok(()) }
    }

    /// After an error nothing the engine holds is trusted.
    fn forget(&mut self) {
        self.known.clear();
        if let Err(error) = self.engine.keep(0) {
            tracing::error!(error = %ErrorChain(&error), "cannot clear the engine");
        }
    }
}

fn pick(sampler: &mut Sampler, logits: &[f32]) -> Result<Token, Halt> {
    sampler.pick(logits).map_err(|error| Halt::Failed(Failure::Engine(error.to_string())))
}

/// Sends without waiting. The channel holds a whole answer, so it is full for nobody who is there.
fn tell(job: &Job, event: Event) -> Result<(), Halt> {
    job.events.try_send(event).map_err(|error| match error {
        TrySendError::Closed(_) | TrySendError::Full(_) => Halt::CallerGone,
    })
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
