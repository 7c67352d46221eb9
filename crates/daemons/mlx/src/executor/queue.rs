//! Requests that wait for the owner thread: in order of arrival, so many and no more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Job;

/// The bounded queue between the handlers and the owner thread.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    length_max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    closed: bool,
}

/// The queue takes no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many as it holds are waiting.
    Waiting(usize),
    /// The seat is being stopped.
    Closed,
}

/// What the owner thread is to do next.
#[derive(Debug)]
pub(super) enum Next {
    Job(Box<Job>),
    Nothing,
    Closed,
}

impl Queue {
    pub(super) fn new(length_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), length_max }
    }

    /// Lets a request wait for its turn. Places of callers that are gone are given away.
    ///
    /// # Errors
    ///
    /// When the queue is full or closed.
    pub fn push(&self, job: Job) -> Result<(), Full> {
        let mut state = self.lock();
        if state.closed {
            return Err(Full::Closed);
        }
        if state.waiting.len() >= self.length_max {
            state.waiting.retain(|job| !job.events.is_closed());
        }
        if state.waiting.len() >= self.length_max {
            return Err(Full::Waiting(state.waiting.len()));
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes no more requests, drops those that wait, and lets the owner thread end.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the seat is being stopped.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The next request whose caller is still there, or nothing within `patience`.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let state = self.lock();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let waited = self.changed.wait_timeout_while(state, patience, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Next::Closed;
        }
        while let Some(job) = state.waiting.pop_front() {
            if !job.events.is_closed() {
                return Next::Job(Box::new(job));
            }
            tracing::info!(request = job.id, "caller gone before its turn");
        }
        Next::Nothing
    }

    /// A panic elsewhere leaves the list as it was between two statements, which is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::executor::Event;
    use crate::sampler::Sampling;

    fn job(id: &str) -> (Job, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(1);
        let sampling = Sampling::GREEDY;
        let job = Job {
            id: id.to_owned(),
            prompt: String::new(),
            sampling,
            stops: Vec::new(),
            answer_tokens_max: 1,
            events,
        };
        (job, receiver)
    }

    #[test]
    fn a_full_queue_refuses_and_a_caller_that_left_makes_room() {
        let queue = Queue::new(2);
        let (first, _first_caller) = job("first");
        let (second, second_caller) = job("second");
        let (third, _third_caller) = job("third");
        let (fourth, _fourth_caller) = job("fourth");
        queue.push(first).unwrap();
        queue.push(second).unwrap();
        assert_eq!(queue.push(third), Err(Full::Waiting(2)));
        drop(second_caller);
        queue.push(fourth).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| match queue.next(Duration::ZERO) {
            Next::Job(job) => Some(job.id),
            Next::Nothing | Next::Closed => None,
        })
        .collect();
        assert_eq!(order, ["first", "fourth"]);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_ends_the_thread() {
        let queue = Queue::new(2);
        let (waiting, mut caller) = job("waiting");
        queue.push(waiting).unwrap();
        queue.close();
        assert!(caller.try_recv().is_err());
        assert!(matches!(queue.next(Duration::from_mins(1)), Next::Closed));
        assert_eq!(queue.push(job("late").0), Err(Full::Closed));
    }
}
