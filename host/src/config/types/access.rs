//! What becomes of tunnels whose grant ends.

use std::time::Duration;

/// `reauthorize` and `access_close_code` of a route, with what it inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastingAccess {
    /// How early before its end who gave a grant is asked again; none where nobody is.
    pub reauthorize: Option<Duration>,
    /// The code of the close frame for a tunnel whose grant ends.
    pub close_code: u16,
}
