//! The store of local models: what is there, and how a model gets there.
//!
//! ```text
//! models/NAME/model.gguf     the weights
//! models/NAME/model.toml     what they are: written last, so that a model is there or is not
//! models/NAME/HASH.part      a download that was cut off, to be gone on with
//! ```
//!
//! A crate of its own for its weight: nothing else on the host downloads over TLS. It says nothing
//! to the user; progress is handed to a function.

mod catalogue;
mod file;
mod hub;
mod package;
mod pull;
mod request;
mod store;

pub use catalogue::{CatalogueEntry, Origin, catalogue};
pub use hub::{HUB, Hub, HubError};
pub use package::PackageError;
pub use pull::{Fetched, Progress, PullError, Pulled, Trust, pull};
pub use request::{HubFile, ModelName, Request, RequestError};
pub use store::{StoreError, Stored, find, list};
