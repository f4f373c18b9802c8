//! The process: workers, listeners, and the configuration that they run by.

mod background;
mod build;
mod drain;
mod fetch;
mod listeners;
mod signals;
mod streams;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use build::check;
pub use signals::{Signals, serve_until_signalled};
pub use worker::Worker;

use crate::admin;
use crate::config::{Config, Problem};
use crate::observe::{LogFiles, Metrics};
use crate::plugin::Runtime;
use crate::proxy::Proxy;
use crate::streams::Rooms;
use crate::tls::server::BadTerms;
use crate::tunnel::Registry;
use crate::upstream::Shared;
use background::Background;
use listeners::Listeners;

/// Why a server did not start or reload. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plugin runtime could not be set up.
    #[error("the plugin runtime cannot start: {0}")]
    Runtime(#[from] crate::plugin::PluginError),
    /// Names of peers cannot be resolved, or plugins were refused. One problem each, with its
    /// place in the configuration.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// What a listener's sites say of TLS does not fit together.
    #[error("TLS at {address}: {error}")]
    Tls {
        /// The listener's address.
        address: SocketAddr,
        /// What does not fit.
        error: BadTerms,
    },
    /// The access log cannot be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(std::io::Error),
    /// A worker could not be started.
    #[error("cannot start a worker: {0}")]
    Worker(std::io::Error),
}

/// A running server. Dropping it stops it at once.
pub struct Server {
    proxy: Arc<Proxy>,
    runtime: Arc<Runtime>,
    /// What upstreams keep over reloads, with how the first configuration looks up names.
    shared: Shared,
    /// How many connections streams have.
    rooms: Rooms,
    workers: Vec<Worker>,
    state: Mutex<State>,
    /// Disconnected once everything that a drain waits for is gone.
    all_gone: Mutex<mpsc::Receiver<()>>,
}

/// What a reload changes.
struct State {
    listeners: Listeners,
    /// What goes on for the snapshot in use; none once the server stops.
    background: Option<Background>,
    drain_timeout: Duration,
    /// Where `/metrics` is; changed by a restart only.
    admin: Option<SocketAddr>,
}

impl Server {
    /// Start serving a configuration, on threads of its own.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let runtime = build::runtime(config, config.server.workers)?;
        let (log_files, metrics) = (Arc::new(LogFiles::default()), Arc::new(Metrics::default()));
        let shared = build::shared(config, Arc::clone(&metrics.tallies));
        let rooms = Rooms::default();
        let snapshot = build::snapshot(config, &runtime, &log_files, &shared, None)?;
        let streams = streams::streams(config, &snapshot, &log_files, &shared, &rooms)?;
        let proxy = Arc::new(Proxy {
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics,
            log_files,
            tunnels: Arc::new(Registry::default()),
            clients: Arc::default(),
            acme: Arc::default(),
            stapler: Arc::default(),
            served: ArcSwap::default(),
        });
        let (alive, all_gone) = mpsc::channel();
        let workers = (0..config.server.workers)
            .map(|number| Worker::start(number, &config.server, Arc::clone(&proxy), alive.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(StartError::Worker)?;
        // First, so that whoever was told of a listener can ask about it.
        let admin = config.admin.as_ref().map(|config| admin::start(config, &workers, &proxy, &runtime)).transpose()?;
        let mut listeners = Listeners::new(&proxy.acme.challenges.handshakes);
        listeners.change(&config.listeners, streams, &workers)?;
        proxy.snapshot.load().take_over();
        let background = Some(Background::start(config, &proxy, listeners.served(), &workers));
        let state = Mutex::new(State { listeners, background, drain_timeout: config.server.drain_timeout, admin });
        Ok(Self { proxy, runtime, shared, rooms, workers, state, all_gone: Mutex::new(all_gone) })
    }

    /// Where it listens, in the configuration's order, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state.lock().listeners.addresses()
    }

    /// Where `/metrics` is served.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.state.lock().admin
    }

    /// How many tunnels are open.
    pub fn open_tunnels(&self) -> usize {
        self.proxy.tunnels.len()
    }

    /// Take another configuration into use, all or nothing. Requests in flight end by the old
    /// one and open tunnels stay as they are. `workers`, `pid_file`, `[log]` and `[admin]` are
    /// the process's and do not change.
    ///
    /// # Errors
    /// [`StartError`]; the old configuration stays in use then.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        let log_files = &self.proxy.log_files;
        let before = self.proxy.snapshot.load_full();
        let snapshot = build::snapshot(config, &self.runtime, log_files, &self.shared, Some(&before))?;
        let streams = streams::streams(config, &snapshot, log_files, &self.shared, &self.rooms)?;
        let mut state = self.state.lock();
        state.listeners.change(&config.listeners, streams, &self.workers)?;
        state.drain_timeout = config.server.drain_timeout;
        let snapshot = Arc::new(snapshot);
        self.proxy.snapshot.store(Arc::clone(&snapshot));
        snapshot.take_over();
        // The old one's stop with this.
        state.background = Some(Background::start(config, &self.proxy, state.listeners.served(), &self.workers));
        self.proxy.metrics.reloads.add(1);
        // As nginx does: who has moved the files away and reloads finds new ones.
        self.reopen_logs();
        Ok(())
    }

    /// Write out what logs have gathered, and open their files anew by their names.
    pub fn reopen_logs(&self) {
        self.proxy.log_files.reopen();
    }
}
