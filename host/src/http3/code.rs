//! Why a stream or a connection ends (RFC 9114 §8.1, RFC 9204 §6).

/// An error code of HTTP/3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

impl Code {
    /// All is well.
    pub const NO_ERROR: Self = Self(0x100);
    /// The peer breaks the protocol in a way that no other code names.
    pub const GENERAL_PROTOCOL: Self = Self(0x101);
    /// This side failed.
    pub const INTERNAL: Self = Self(0x102);
    /// A stream that the peer may not open.
    pub const STREAM_CREATION: Self = Self(0x103);
    /// A stream was closed that must stay open.
    pub const CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    /// A frame that has no place there.
    pub const FRAME_UNEXPECTED: Self = Self(0x105);
    /// A frame that is cut off, or whose content does not fit it.
    pub const FRAME: Self = Self(0x106);
    /// The peer makes more work than it may.
    pub const EXCESSIVE_LOAD: Self = Self(0x107);
    /// A number of a stream or push that cannot be.
    pub const ID: Self = Self(0x108);
    /// A setting that cannot be.
    pub const SETTINGS: Self = Self(0x109);
    /// The control stream does not begin with SETTINGS.
    pub const MISSING_SETTINGS: Self = Self(0x10a);
    /// Nothing was done with the request: it can be sent again.
    pub const REQUEST_REJECTED: Self = Self(0x10b);
    /// The request or its answer is not wanted any more.
    pub const REQUEST_CANCELLED: Self = Self(0x10c);
    /// The stream ended before the request was whole.
    pub const REQUEST_INCOMPLETE: Self = Self(0x10d);
    /// The message breaks HTTP.
    pub const MESSAGE: Self = Self(0x10e);
    /// A field section that cannot be read.
    pub const QPACK_DECOMPRESSION: Self = Self(0x200);
    /// An instruction that the peer's encoder may not give.
    pub const QPACK_ENCODER_STREAM: Self = Self(0x201);
    /// An instruction that the peer's decoder may not give.
    pub const QPACK_DECODER_STREAM: Self = Self(0x202);
}

impl From<Code> for quinn::VarInt {
    fn from(code: Code) -> Self {
        Self::from_u32(code.0)
    }
}
