//! TLS towards clients.

use crate::tls::server::{Entry, Settings, Wanted};

/// TLS of one listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// What it offers.
    pub settings: Settings,
    /// What holds for the names of its sites, in order.
    pub names: Vec<(Entry, Wanted)>,
    /// What holds for other names, and for clients that give none.
    pub default: Wanted,
}
