//! How plugins see bodies.

/// `bodies = { … }` of a site or route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bodies {
    /// The longest that is shown whole, bytes.
    pub max_size: usize,
    /// What becomes of a longer one.
    pub too_large: TooLarge,
    /// Whether upstreams are asked for all of the answer, and not compressed.
    pub plain: bool,
}

/// What becomes of a body that a plugin wants to see whole and that is too long for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TooLarge {
    /// 413 for a request, 502 for a response.
    #[default]
    Refuse,
    /// It passes unseen.
    Pass,
}
