//! How many connections each client has.

use std::net::IpAddr;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// The open connections of each client, where they are limited.
#[derive(Debug, Default)]
pub struct Clients(DashMap<IpAddr, u32>);

impl Clients {
    /// Count one more connection of a client; false where it has as many as it may.
    pub fn enter(&self, client: IpAddr, most: u32) -> bool {
        match self.0.entry(client) {
            Entry::Vacant(place) => {
                place.insert(1);
                true
            }
            Entry::Occupied(mut open) => {
                let room = *open.get() < most;
                if room {
                    *open.get_mut() += 1;
                }
                room
            }
        }
    }

    /// A connection of a client has ended.
    pub fn leave(&self, client: IpAddr) {
        if let Entry::Occupied(mut open) = self.0.entry(client) {
            if *open.get() <= 1 {
                open.remove();
            } else {
                *open.get_mut() -= 1;
            }
        }
    }

    /// How many clients have connections that are counted.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
