//! What went wrong, for the person who typed the command.

use std::error::Error;
use std::fmt;

use sanctum_model::ErrorChain;

/// Exit code: failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code: castellan is not running.
pub(crate) const NOT_RUNNING: u8 = 69;
/// Exit code: castellan listens and does not answer, so that nothing is known.
pub(crate) const UNKNOWN: u8 = 70;
/// Exit code: the manifest or a secret cannot be used.
pub(crate) const CONFIGURATION: u8 = 78;

/// A failure: what happened, what to do about it, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    /// Shown below the message as they are: a rendered source, the end of a log.
    details: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// A failure that says what an error and all its causes say.
    pub(crate) fn from_error(error: &(dyn Error + 'static)) -> Self {
        Self::new(ErrorChain(error).to_string())
    }

    #[must_use]
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn details(&self) -> &[String] {
        &self.details
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}
