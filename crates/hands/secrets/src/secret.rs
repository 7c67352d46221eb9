//! The wrapper that keeps a value out of logs.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// A value that is never shown: no `Display`, no `Serialize`, and `Debug` prints `Secret(..)`.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: the one word to search for when asking who sees a secret.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether `candidate` is this secret. The time it takes tells nothing but the length.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn only_the_same_text_matches() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(secret.matches(b"hunter2"));
        for other in ["hunter", "hunter22", "Hunter2", ""] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
    }
}
