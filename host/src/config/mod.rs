//! The operator's text, read and resolved.
mod types;
pub use types::*;
