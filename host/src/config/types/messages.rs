//! How plugins see messages.

/// `messages = { … }` of a site or route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages {
    /// The longest message that is shown whole, bytes.
    pub max_size: usize,
    /// How many times its compressed size a message may have, from 256 KiB on.
    pub max_ratio: usize,
    /// What becomes of permessage-deflate.
    pub deflate: DeflatePolicy,
}

/// What becomes of a client's offer of permessage-deflate where plugins look at messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeflatePolicy {
    /// It goes on, and messages are inflated for plugins.
    #[default]
    Inspect,
    /// It is taken out of the handshake.
    Refuse,
}
