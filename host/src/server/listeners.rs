//! Which addresses are listened on, and how a reload changes that.

use std::net::{SocketAddr, TcpListener};

use super::StartError;
use super::worker::Worker;
use crate::config::Listener;
use crate::listener::bind;

/// The listeners of a server, in the configuration's order.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<Open>,
    next: u64,
}

struct Open {
    config: Listener,
    /// With the port that the system chose.
    address: SocketAddr,
    /// By which workers know it.
    id: u64,
}

impl Listeners {
    /// Where they listen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|open| open.address).collect()
    }

    /// Make them those of a configuration: keep what stays, open what is new, close the rest.
    /// All new sockets are bound before anything else changes.
    ///
    /// # Errors
    /// [`StartError::Bind`]; nothing has changed then.
    pub(super) fn change(&mut self, wanted: &[Listener], workers: &[Worker]) -> Result<(), StartError> {
        // What is kept is matched by equal configuration; two equal entries are one address.
        let is_open = |config: &Listener| self.open.iter().any(|open| open.config == *config);
        let fresh = wanted.iter().filter(|config| !is_open(config));
        let mut fresh = fresh.map(|config| bind_all(config, workers.len())).collect::<Result<Vec<_>, _>>()?.into_iter();
        let (mut now, mut before) = (Vec::new(), std::mem::take(&mut self.open));
        for config in wanted {
            match before.iter().position(|open| open.config == *config) {
                Some(position) => now.push(before.remove(position)),
                None => now.extend(fresh.next().map(|sockets| self.open_on(config, sockets, workers))),
            }
        }
        self.open = before;
        self.close(workers);
        self.open = now;
        Ok(())
    }

    /// Close all.
    pub(super) fn close(&mut self, workers: &[Worker]) {
        for open in std::mem::take(&mut self.open) {
            for worker in workers {
                worker.close(open.id);
            }
        }
    }

    fn open_on(&mut self, config: &Listener, sockets: Vec<TcpListener>, workers: &[Worker]) -> Open {
        let id = self.next;
        self.next += 1;
        let address = sockets.first().and_then(|s| s.local_addr().ok()).unwrap_or(config.address);
        for (worker, socket) in workers.iter().zip(sockets) {
            worker.listen(id, socket, config.proxy_protocol.clone());
        }
        tracing::info!(%address, "listening");
        Open { config: config.clone(), address, id }
    }
}

/// One socket for each worker, all on the port that the first got.
fn bind_all(config: &Listener, workers: usize) -> Result<Vec<TcpListener>, StartError> {
    let failed = |error| StartError::Bind { address: config.address, error };
    let first = bind(config.address, config.backlog).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(address, config.backlog).map_err(failed)?);
    }
    Ok(sockets)
}
