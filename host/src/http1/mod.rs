//! HTTP/1.1 as bytes (RFC 9112), for both sides: heads read and written, framing decided,
//! bodies decoded and encoded. Nothing here knows sockets' owners or what a request means.
//!
//! `httparse` reads the heads; what may be framed how, and what is refused, stands here.

pub mod date;
mod decode;
mod encode;
mod length;
mod parse;
mod writer;

pub use decode::{Decoder, Step, may_trail};
pub use encode::{Persistence, request_head, response_head};
pub use length::{BadLength, Length, has_no_body, request_length, response_length};
pub use parse::{HeadLimits, HeadReader, Malformed};
pub use writer::Writer;
