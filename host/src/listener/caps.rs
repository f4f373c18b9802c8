//! How many client connections there may be: for one worker, and for one client address.
//!
//! A worker's own count is its thread's, since a connection never leaves it; clients are
//! counted over all workers.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limit::{Clients, Slot};
use crate::snapshot::Downstream;

/// How often a worker says that it closes connections. A flood must not fill the log.
const EVERY: Duration = Duration::from_secs(1);

thread_local! {
    /// The connections of this worker.
    static OPEN: Cell<u32> = const { Cell::new(0) };
    /// When it last said that it closes connections, and how many it has closed since.
    static SAID: Cell<(Option<Instant>, u64)> = const { Cell::new((None, 0)) };
}

/// A connection that is counted until this is dropped, on the worker that made it.
#[derive(Debug)]
pub(super) struct Counted {
    /// Where its client is counted too.
    client: Option<Slot>,
}

/// The cap that leaves no room for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cap {
    /// `server.max_connections`
    Worker(u32),
    /// `server.max_client_connections`
    Client(u32),
}

impl Counted {
    /// Count a connection of this worker and client.
    ///
    /// # Errors
    /// The cap that is reached; nothing is counted then.
    pub(super) fn enter(caps: &Downstream, clients: &Clients, client: IpAddr) -> Result<Self, Cap> {
        let mut counted = Self::of_nobody(caps)?;
        counted.belongs_to(caps, clients, client)?;
        Ok(counted)
    }

    /// Count one of this worker, whose client is not known yet.
    ///
    /// # Errors
    /// The worker's cap; nothing is counted then.
    pub(super) fn of_nobody(caps: &Downstream) -> Result<Self, Cap> {
        if let Some(most) = caps.max_connections.filter(|most| OPEN.get() >= *most) {
            return Err(Cap::Worker(most));
        }
        OPEN.set(OPEN.get().saturating_add(1));
        Ok(Self { client: None })
    }

    /// Count it as one of this client.
    ///
    /// # Errors
    /// The client's cap.
    pub(super) fn belongs_to(&mut self, caps: &Downstream, clients: &Clients, client: IpAddr) -> Result<(), Cap> {
        if let Some(most) = caps.max_client_connections {
            self.client = Some(clients.enter(client.to_canonical(), most).ok_or(Cap::Client(most))?);
        }
        Ok(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A thread that ends may have dropped its own count already.
        let _gone = OPEN.try_with(|open| open.set(open.get().saturating_sub(1)));
    }
}

impl Cap {
    /// Say that a connection is closed for it, once a second with how many were since.
    pub(super) fn report(self, client: IpAddr) {
        let now = Instant::now();
        let (last, closed) = SAID.get();
        if last.is_some_and(|last| now.duration_since(last) < EVERY) {
            return SAID.set((last, closed + 1));
        }
        SAID.set((Some(now), 0));
        match self {
            Self::Worker(most) => tracing::error!(
                %client, most, closed, "connection closed: max_connections of this worker are open"
            ),
            Self::Client(most) => tracing::warn!(
                %client, most, closed, "connection closed: max_client_connections of this client are open"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(worker: Option<u32>, client: Option<u32>) -> Downstream {
        Downstream {
            header_timeout: Duration::ZERO,
            keepalive_timeout: Duration::ZERO,
            max_head: 0,
            max_line: 0,
            body_timeout: Duration::ZERO,
            keepalive_requests: 0,
            keepalive_time: Duration::ZERO,
            send_timeout: Duration::ZERO,
            max_connections: worker,
            max_client_connections: client,
            max_streams: 1,
        }
    }

    #[test]
    fn a_client_has_its_own_cap_and_a_worker_one_for_all() {
        let clients = Clients::default();
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let caps = caps(Some(3), Some(2));
        let first = Counted::enter(&caps, &clients, a).unwrap();
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        let _second = Counted::enter(&caps, &clients, mapped).unwrap();
        assert_eq!(Counted::enter(&caps, &clients, a).unwrap_err(), Cap::Client(2));
        let _third = Counted::enter(&caps, &clients, b).unwrap();
        assert_eq!(Counted::enter(&caps, &clients, b).unwrap_err(), Cap::Worker(3));
        drop(first);
        let again = Counted::enter(&caps, &clients, a).unwrap();
        assert_eq!((clients.count(), OPEN.get()), (2, 3));
        drop((again, _second, _third));
        assert_eq!((clients.count(), OPEN.get()), (0, 0));
    }

    #[test]
    fn without_caps_clients_are_not_counted() {
        let clients = Clients::default();
        let _held = Counted::enter(&caps(None, None), &clients, IpAddr::from([192, 0, 2, 1])).unwrap();
        assert_eq!((clients.count(), OPEN.get()), (0, 1));
    }
}
