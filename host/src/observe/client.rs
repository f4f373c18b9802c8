//! A client's connection as variables and logs know it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Who connected, when, as which connection of the process, and how many requests came.
#[derive(Debug)]
pub struct Client {
    /// The client's end.
    pub address: SocketAddr,
    /// The connection's number within the process, from 1. nginx: `$connection`.
    pub number: u64,
    /// When it was accepted.
    pub since: Instant,
    requests: AtomicU64,
}

impl Client {
    /// A client that was just accepted.
    pub fn new(address: SocketAddr) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed) + 1;
        Self { address, number, since: Instant::now(), requests: AtomicU64::new(0) }
    }

    /// One more request; says which it is, from 1. nginx: `$connection_requests`.
    pub fn request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
