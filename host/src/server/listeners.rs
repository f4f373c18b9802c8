//! Which addresses are listened on, and how a reload changes that.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::StartError;
use super::worker::Worker;
use crate::config::Listener;
use crate::listener::{Spoken, Streams, Tls, bind};
use crate::streams::Here;
use crate::tls::server::Served;

/// The listeners of a server, in the configuration's order.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<Open>,
    next: u64,
}

struct Open {
    config: Listener,
    /// Seen by all workers.
    tls: Tls,
    /// As well.
    streams: Streams,
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
    /// [`StartError::Bind`] or [`StartError::Tls`]; nothing has changed then.
    pub(super) fn change(
        &mut self,
        wanted: &[Listener],
        streams: Vec<Option<Here>>,
        workers: &[Worker],
    ) -> Result<(), StartError> {
        let tls = wanted.iter().map(|config| self.tls(config)).collect::<Result<Vec<_>, _>>()?;
        // What is kept is matched by equal configuration; two equal entries are one address.
        let is_open = |config: &Listener| self.open.iter().any(|open| open.is(config));
        let fresh = wanted.iter().filter(|config| !is_open(config));
        let mut fresh = fresh.map(|config| bind_all(config, workers.len())).collect::<Result<Vec<_>, _>>()?.into_iter();
        let (mut now, mut before) = (Vec::new(), std::mem::take(&mut self.open));
        for ((config, tls), here) in wanted.iter().zip(tls).zip(streams) {
            let here = here.map(Arc::new);
            match before.iter().position(|open| open.is(config)) {
                Some(position) => {
                    let open = before.remove(position);
                    open.tls.store(tls);
                    open.streams.store(here);
                    now.push(open);
                }
                None => now.extend(fresh.next().map(|sockets| self.open_on(config, (tls, here), sockets, workers))),
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

    /// The TLS of a listener; sessions of the one that is open in its place go on.
    fn tls(&self, config: &Listener) -> Result<Option<Arc<Served>>, StartError> {
        let Some(wanted) = &config.tls else { return Ok(None) };
        let before = self.open.iter().find(|open| open.is(config)).and_then(|open| open.tls.load_full());
        let made = Served::new(&wanted.settings, &wanted.names, &wanted.default, before.as_deref());
        made.map(|served| Some(Arc::new(served))).map_err(|error| StartError::Tls { address: config.address, error })
    }

    /// The TLS of every listener, as it is served now.
    pub(super) fn served(&self) -> Vec<Arc<Served>> {
        self.open.iter().filter_map(|open| open.tls.load_full()).collect()
    }

    fn open_on(
        &mut self,
        config: &Listener,
        (tls, here): (Option<Arc<Served>>, Option<Arc<Here>>),
        sockets: Vec<TcpListener>,
        workers: &[Worker],
    ) -> Open {
        let (tls, streams) = (Arc::new(ArcSwapOption::from(tls)), Arc::new(ArcSwapOption::from(here)));
        let id = self.next;
        self.next += 1;
        let address = sockets.first().and_then(|s| s.local_addr().ok()).unwrap_or(config.address);
        for (worker, socket) in workers.iter().zip(sockets) {
            worker.listen(
                id,
                socket,
                Spoken {
                    tls: Arc::clone(&tls),
                    proxied: config.proxy_protocol.clone(),
                    protocols: config.protocols,
                    streams: Arc::clone(&streams),
                },
            );
        }
        tracing::info!(%address, "listening");
        Open { config: config.clone(), address, id, tls, streams }
    }
}

impl Open {
    /// Whether a socket is what this configuration wants. Its TLS can be changed.
    fn is(&self, config: &Listener) -> bool {
        let socket =
            |config: &Listener| (config.address, config.backlog, config.protocols, config.proxy_protocol.clone());
        socket(&self.config) == socket(config)
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
