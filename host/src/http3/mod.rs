//! HTTP/3 as bytes (RFC 9114): numbers, frames, settings, field sections (QPACK, RFC 9204).
//! Nothing here knows what a request means.
//!
//! Our own, since the crate `h3` refuses `:protocol: websocket` and keeps its QPACK to itself.
//! Without a dynamic table: none is offered, so a client has no state to keep in step with.

mod code;
pub mod frame;
mod frames;
pub mod qpack;
pub mod varint;

pub use code::Code;
pub use frames::{Broken, Frames, Part};
