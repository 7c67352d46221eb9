//! What is wrong with a manifest, and where.

use std::fmt;
use std::ops::Range;

/// One fault: its place in the text, what is wrong, and what to do where that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, in bytes from the start of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty where the message says it all.
    pub help: String,
}

/// Why a text is not a manifest: every problem, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    problems: Vec<Problem>,
}

impl ManifestError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        Self { problems }
    }

    /// The problems, in the order of the text; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => formatter.write_str(&only.message),
            many => write!(formatter, "{} problems, the first: {}", many.len(), many[0].message),
        }
    }
}

impl std::error::Error for ManifestError {}
