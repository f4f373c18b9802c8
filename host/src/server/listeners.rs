//! Which addresses are listened on, and how a reload changes that.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::StartError;
use super::worker::Worker;
use crate::config::Listener;
use crate::listener::{QuicSpoken, Spoken, Streams, Tls, bind, bind_udp};
use crate::streams::Here;
use crate::tls::server::{Challenges, Served};

/// The listeners of a server, in the configuration's order.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<Open>,
    next: u64,
    /// What handshakes are looked through for.
    challenges: Arc<Challenges>,
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
    quic: Option<OpenQuic>,
}

/// An endpoint of QUIC. It goes on where another listener takes the place of its own: its
/// connections would end with it.
struct OpenQuic {
    spoken: Arc<QuicSpoken>,
    /// By which its worker knows it.
    id: u64,
}

/// What is bound for a listener.
struct Sockets {
    address: SocketAddr,
    /// One for each worker; none where only HTTP/3 is spoken.
    tcp: Vec<TcpListener>,
    /// For a new endpoint.
    udp: Option<UdpSocket>,
}

impl Listeners {
    /// None yet. Their handshakes answer these challenges.
    pub(super) fn new(challenges: &Arc<Challenges>) -> Self {
        Self { challenges: Arc::clone(challenges), ..Self::default() }
    }

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
        let bound = fresh.map(|config| bind_all(config, workers.len(), self.has_endpoint(config)));
        let mut fresh = bound.collect::<Result<Vec<_>, _>>()?.into_iter();
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
                None => {
                    let Some(sockets) = fresh.next() else { continue };
                    let kept = before.iter_mut().find(|open| open.lends_endpoint(config));
                    let kept = kept.and_then(|open| Some((Arc::clone(&open.tls), open.quic.take()?)));
                    now.push(self.open_on(config, (tls, here), sockets, kept, workers));
                }
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
                if let Some(quic) = &open.quic {
                    worker.close(quic.id);
                }
            }
        }
    }

    /// The TLS of a listener; sessions of the one that is open in its place go on.
    fn tls(&self, config: &Listener) -> Result<Option<Arc<Served>>, StartError> {
        let Some(wanted) = &config.tls else { return Ok(None) };
        let before = self.open.iter().find(|open| open.is(config)).and_then(|open| open.tls.load_full());
        let made = Served::new(&wanted.settings, &wanted.names, &wanted.default, before.as_deref(), &self.challenges);
        made.map(|served| Some(Arc::new(served))).map_err(|error| StartError::Tls { address: config.address, error })
    }

    /// The TLS of every listener, as it is served now.
    pub(super) fn served(&self) -> Vec<Arc<Served>> {
        self.open.iter().filter_map(|open| open.tls.load_full()).collect()
    }

    /// Whether there is an endpoint that goes on for a listener that is not open yet.
    fn has_endpoint(&self, config: &Listener) -> bool {
        self.open.iter().any(|open| open.lends_endpoint(config))
    }

    fn open_on(
        &mut self,
        config: &Listener,
        (served, here): (Option<Arc<Served>>, Option<Arc<Here>>),
        sockets: Sockets,
        kept: Option<(Tls, OpenQuic)>,
        workers: &[Worker],
    ) -> Open {
        let (tls, quic) = match kept {
            Some((tls, quic)) => (tls, Some(quic)),
            None => (Arc::new(ArcSwapOption::empty()), None),
        };
        tls.store(served);
        let streams = Arc::new(ArcSwapOption::from(here));
        let Sockets { address, tcp, udp } = sockets;
        let id = self.number();
        let alt_svc = config.http3.as_ref().and_then(|http3| http3.alt_svc.value(address.port()));
        for (worker, socket) in workers.iter().zip(tcp) {
            let spoken = Spoken {
                tls: Arc::clone(&tls),
                proxied: config.proxy_protocol.clone(),
                protocols: config.protocols,
                alt_svc: alt_svc.clone(),
                streams: Arc::clone(&streams),
            };
            worker.listen(id, socket, spoken);
        }
        let quic = quic.or_else(|| self.open_quic(config, &tls, udp?, workers));
        if let (Some(quic), Some(terms)) = (&quic, &config.http3) {
            quic.spoken.terms.store(Arc::new(terms.clone()));
        }
        tracing::info!(%address, http3 = quic.is_some(), "listening");
        Open { config: config.clone(), address, id, tls, streams, quic }
    }

    /// Open an endpoint, each on another worker.
    fn open_quic(&mut self, config: &Listener, tls: &Tls, socket: UdpSocket, workers: &[Worker]) -> Option<OpenQuic> {
        let spoken = Arc::new(QuicSpoken::new(Arc::clone(tls), config.http3.clone()?)?);
        let id = self.number();
        let turn = usize::try_from(id).unwrap_or_default() % workers.len().max(1);
        let seats = workers.iter().cycle().skip(turn + 1).take(workers.len()).map(Worker::seat).collect();
        workers.get(turn)?.listen_quic(id, socket, Arc::clone(&spoken), seats);
        Some(OpenQuic { spoken, id })
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Open {
    /// Whether a socket is what this configuration wants. Its TLS can be changed.
    fn is(&self, config: &Listener) -> bool {
        let socket = |config: &Listener| {
            let Listener { address, backlog, protocols, .. } = *config;
            (address, backlog, protocols, config.proxy_protocol.clone(), config.congestion_control.clone())
        };
        socket(&self.config) == socket(config) && self.config.http3 == config.http3
    }

    /// Whether its endpoint goes on at a listener that takes its place. Where the system chooses
    /// the port there is no telling.
    fn lends_endpoint(&self, config: &Listener) -> bool {
        let same = self.config.address == config.address && config.address.port() != 0;
        same && config.http3.is_some() && self.quic.is_some()
    }
}

/// One socket for each worker, all on the port that the first got, and one of UDP where HTTP/3 is
/// spoken and no endpoint goes on.
fn bind_all(config: &Listener, workers: usize, has_endpoint: bool) -> Result<Sockets, StartError> {
    /// How often another port is taken where the system chooses one that UDP does not have.
    const TRIES: usize = 32;
    let mut tries = if config.address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match try_bind(config, workers, has_endpoint) {
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map_err(|error| StartError::Bind { address: config.address, error }),
        }
    }
}

fn try_bind(config: &Listener, workers: usize, has_endpoint: bool) -> io::Result<Sockets> {
    let mut sockets = Sockets { address: config.address, tcp: Vec::new(), udp: None };
    if config.protocols.h1 || config.protocols.h2 {
        for _ in 0..workers {
            let socket = bind(sockets.address, config.backlog, config.congestion_control.as_deref())?;
            sockets.address = socket.local_addr()?;
            sockets.tcp.push(socket);
        }
    }
    if let Some(http3) = config.http3.as_ref().filter(|_| !has_endpoint) {
        let socket = bind_udp(sockets.address, http3.buffer)?;
        sockets.address = socket.local_addr()?;
        sockets.udp = Some(socket);
    }
    Ok(sockets)
}
