//! Field sections (QPACK, RFC 9204) with the static table alone.

mod decode;
mod encode;
mod huffman;
mod statics;

pub use decode::{Bad, decode};
pub use encode::Section;
