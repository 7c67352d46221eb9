//! How long work tells what it is at: it calls back, and draws nothing itself.

use std::time::Duration;

/// One thing that happened in a piece of work of several steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step begins.
    Step {
        /// Its number, from 1.
        index: usize,
        /// How many there are.
        count: usize,
        /// What it does.
        name: String,
    },
    /// What the step is at, in a few words.
    Detail(String),
    /// How far the step is.
    Fraction {
        /// What is done.
        done: u64,
        /// What there is.
        total: u64,
    },
    /// The step is done.
    StepDone {
        /// The time it took.
        elapsed: Duration,
    },
}

/// What is called back.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);
