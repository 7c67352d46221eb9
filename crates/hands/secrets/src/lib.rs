//! Secrets as values that do not leak, and the directory of mode-600 files they are read from.
//!
//! It never waits for a dialog and never writes a secret anywhere but into its own file.

mod directory;
mod secret;

pub use directory::{SecretError, SecretName, SecretNameError, Secrets};
pub use secret::Secret;
