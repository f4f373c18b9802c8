//! Content that the proxy makes itself or makes smaller: files, compression, and reading
//! ahead of a slow client.
//!
//! It decides nothing about routes: which of them serves files is the router's choice, and
//! `proxy/content.rs` is where a request meets this module.

mod compress;
mod conditions;
mod file;
mod folder;
mod lookup;
mod mime;
mod page;
mod range;
mod read_ahead;

pub use compress::{Compressed, choose};
pub use lookup::{Asked, Found, lookup};
pub use mime::usual_type;
pub use page::FilePage;
pub use read_ahead::ReadAhead;

#[cfg(test)]
mod tests;
