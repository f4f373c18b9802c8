//! How many connections each client has.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::open::{Caps, Class, Opened, Slot};

/// The most memory for the counts, bytes: room for half a million clients at once with, in the
/// mean, one in 10⁵ that is refused for want of it. What nobody uses stays unused.
const SIZE: usize = 32 << 20;

/// The open connections of each client, where they are limited.
#[derive(Debug, Default)]
pub struct Clients(OnceLock<Arc<Opened>>);

impl Clients {
    /// Count one more connection of a client until what it gives is dropped; none where it has
    /// as many as it may, or where too many clients have some for this one to be counted.
    pub fn enter(&self, client: IpAddr, most: u32) -> Option<Slot> {
        let opened = self.0.get_or_init(|| Arc::new(Opened::new(SIZE)));
        let caps = Caps { total: Some(most), ..Caps::default() };
        match client {
            IpAddr::V4(v4) => opened.enter(&v4.octets(), Class::Tunnel, &caps),
            IpAddr::V6(v6) => opened.enter(&v6.octets(), Class::Tunnel, &caps),
        }
    }

    /// How many clients have connections that are counted.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.get().map_or(0, |opened| opened.keys())
    }
}
