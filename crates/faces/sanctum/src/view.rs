//! What is shown, as text: pure functions of what is known. Nothing here reads or prints.

pub(crate) mod changes;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod probe;
mod roots;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod words;
