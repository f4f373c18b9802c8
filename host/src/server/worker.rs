//! A worker: one thread with a runtime of its own. Connections, pools, plugin instances and
//! buffers live and die on the worker that accepted the connection, so nothing is locked.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::cohort;
use crate::config::ServerSettings;
use crate::listener::{self, Alive, QuicArrival, QuicSpoken, Seat, Spoken};
use crate::proxy::Proxy;
use crate::tunnel;

/// The stack of a worker without what it lends to plugins, bytes: that of any thread of std.
const STACK: usize = 2 << 20;

/// What a worker is told.
enum Command {
    /// Accept on this socket, known by this number.
    Listen(u64, TcpListener, Spoken),
    /// Take connections of QUIC on this socket, known by this number, for these workers.
    ListenQuic(u64, UdpSocket, Arc<QuicSpoken>, Vec<Seat>),
    /// Serve a connection of QUIC.
    Arrive(Box<QuicArrival>),
    /// Accept no more on it.
    Close(u64),
    /// Run a task.
    Run(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Connections end after the request that they are at.
    Drain,
}

/// A handle to a worker. Dropping it ends the thread, and with it all that runs there.
pub struct Worker {
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Start a worker.
    pub(super) fn start(number: usize, settings: &ServerSettings, proxy: Arc<Proxy>, alive: Alive) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(cohort::ends).build()?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let io_uring = settings.io_uring;
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .stack_size(STACK.saturating_add(settings.plugin_stack))
            .spawn(move || {
                tunnel::allow_io_uring(io_uring);
                runtime.block_on(obey(inbox, proxy, alive));
            })?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Accept on a socket.
    pub(super) fn listen(&self, id: u64, socket: TcpListener, spoken: Spoken) {
        self.tell(Command::Listen(id, socket, spoken));
    }

    /// Take connections of QUIC on a socket, and give each to the next seat.
    pub(super) fn listen_quic(&self, id: u64, socket: UdpSocket, spoken: Arc<QuicSpoken>, seats: Vec<Seat>) {
        self.tell(Command::ListenQuic(id, socket, spoken, seats));
    }

    /// What gives connections of QUIC to this worker. It does not keep the worker.
    pub(super) fn seat(&self) -> Seat {
        let commands = self.commands.as_ref().map(mpsc::UnboundedSender::downgrade);
        Box::new(move |arrival| {
            // One that is dropped is refused.
            if let Some(commands) = commands.as_ref().and_then(mpsc::WeakUnboundedSender::upgrade) {
                let _refused = commands.send(Command::Arrive(Box::new(arrival)));
            }
        })
    }

    /// Accept no more on a socket.
    pub(super) fn close(&self, id: u64) {
        self.tell(Command::Close(id));
    }

    /// Run a task there.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tell(Command::Run(Box::pin(task)));
    }

    /// Let connections end.
    pub(super) fn drain(&self) {
        self.tell(Command::Drain);
    }

    fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A worker that is gone has nothing left to obey with.
            let _gone = commands.send(command);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(Err(_panicked)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("a worker has panicked");
        }
    }
}

async fn obey(mut inbox: mpsc::UnboundedReceiver<Command>, proxy: Arc<Proxy>, alive: Alive) {
    let (drain, draining) = watch::channel(false);
    let mut listening: HashMap<u64, oneshot::Sender<()>> = HashMap::new();
    let mut alive = Some(alive);
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Listen(id, socket, spoken) => {
                let (close, closed) = oneshot::channel();
                let socket = tokio::net::TcpListener::from_std(socket);
                let (Ok(socket), Some(alive)) = (socket, &alive) else { continue };
                let (proxy, draining) = (Arc::clone(&proxy), draining.clone());
                tokio::spawn(listener::accept(socket, spoken, proxy, draining, alive.clone(), closed));
                listening.insert(id, close);
            }
            Command::ListenQuic(id, socket, spoken, seats) => {
                let (close, closed) = oneshot::channel();
                tokio::spawn(listener::accept_quic(socket, spoken, seats, closed));
                listening.insert(id, close);
            }
            Command::Arrive(arrival) => match &alive {
                Some(alive) => {
                    let (proxy, draining) = (Arc::clone(&proxy), draining.clone());
                    tokio::spawn(listener::arrive(*arrival, proxy, draining, alive.clone()));
                }
                None => arrival.refuse(),
            },
            // Dropping the sender closes.
            Command::Close(id) => drop(listening.remove(&id)),
            Command::Run(task) => drop(tokio::spawn(task)),
            Command::Drain => {
                listening.clear();
                alive = None;
                drain.send_replace(true);
            }
        }
    }
}
