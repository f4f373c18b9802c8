//! One worker's connection to a Redis: made when it is first needed, and again after a pause
//! that grows where that fails.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::{Mine, Redis, unavailable};
use crate::config::{KvAddress, KvRedis};
use crate::hook::KvError;
use crate::tls::Alpn;

/// The first pause; each failure after it doubles the next one.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it doubles: up to 3.2 s.
const DOUBLINGS: u32 = 6;

thread_local! {
    /// This worker's links, by the store's number.
    static LINKS: RefCell<HashMap<u64, (Weak<Redis>, Mine)>> = RefCell::default();
}

/// A connection, or why there is none. Locked for a look only, and by its worker only.
#[derive(Default)]
pub(super) struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// The attempt that is under way.
    attempt: Option<watch::Receiver<Attempt>>,
    /// Numbers connections, so that a late failure of one does not end the next.
    generation: u64,
    failures: u32,
    /// When it may be tried again, and why it is not up.
    pause: Option<(Instant, Arc<str>)>,
}

/// What came of an attempt; none while it is under way.
type Attempt = Option<Result<Connection, Arc<str>>>;

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) inner: MultiplexedConnection,
    pub(super) generation: u64,
}

/// This worker's link to a store.
pub(super) fn mine(store: &Arc<Redis>) -> Mine {
    LINKS.with_borrow_mut(|links| {
        if let Some((_, link)) = links.get(&store.id) {
            return Arc::clone(link);
        }
        links.retain(|_, (store, _)| store.strong_count() > 0);
        let link = Mine::default();
        links.insert(store.id, (Arc::downgrade(store), Arc::clone(&link)));
        link
    })
}

/// The connection, which is made where there is none and no pause.
pub(super) async fn connection(store: &Arc<Redis>, link: &Mine) -> Result<Connection, KvError> {
    let mut attempt = {
        let mut state = link.0.lock();
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        match (&state.attempt, &state.pause) {
            (Some(attempt), _) => attempt.clone(),
            (None, Some((until, why))) if *until > Instant::now() => {
                return Err(unavailable(format!(
                    "{why} (it is tried again in {:?})",
                    until.saturating_duration_since(Instant::now())
                )));
            }
            (None, _) => {
                let (done, attempt) = watch::channel(None);
                state.attempt = Some(attempt.clone());
                state.generation += 1;
                tokio::spawn(attempt_one(Arc::clone(store), Arc::clone(link), state.generation, done));
                attempt
            }
        }
    };
    let done = attempt.wait_for(Option::is_some).await;
    match done.ok().and_then(|done| done.clone()) {
        Some(Ok(connection)) => Ok(connection),
        Some(Err(why)) => Err(unavailable(why)),
        None => Err(unavailable("the attempt to connect was given up")),
    }
}

impl Link {
    /// It answers: not before is it known to be well, since one that hangs is connected to as well.
    pub(super) fn answered(&self) {
        self.0.lock().failures = 0;
    }

    /// This connection is of no use any more.
    pub(super) fn give_up(&self, generation: u64, why: &str) {
        let mut state = self.0.lock();
        if state.connection.as_ref().is_some_and(|connection| connection.generation == generation) {
            state.connection = None;
            state.rest(why.into());
        }
    }
}

impl State {
    fn rest(&mut self, why: Arc<str>) {
        let pause = PAUSE * 2_u32.pow(self.failures.min(DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.pause = Some((Instant::now() + pause, why));
    }
}

/// Connect, and then drive the connection for as long as it and the store last.
async fn attempt_one(store: Arc<Redis>, link: Mine, generation: u64, done: watch::Sender<Attempt>) {
    let wait = store.settings.connect_timeout;
    let made = tokio::time::timeout(wait, connect(&store.settings)).await;
    let made = made.unwrap_or_else(|_elapsed| Err(format!("no connection within {wait:?}")));
    let (inner, driver) = match made {
        Ok(made) => made,
        Err(why) => {
            store.failed.fetch_add(1, Ordering::Relaxed);
            let why: Arc<str> = format!("{}: {why}", store.settings.address).into();
            let mut state = link.0.lock();
            if state.failures == 0 {
                tracing::warn!(redis = %store.settings.address, %why, "a store cannot be reached");
            }
            state.attempt = None;
            state.rest(Arc::clone(&why));
            drop(state);
            done.send_replace(Some(Err(why)));
            return;
        }
    };
    store.made.fetch_add(1, Ordering::Relaxed);
    let connection = Connection { inner, generation };
    {
        let mut state = link.0.lock();
        if state.failures > 0 {
            tracing::info!(redis = %store.settings.address, "a store is connected again");
        }
        (state.attempt, state.pause) = (None, None);
        state.connection = Some(connection.clone());
    }
    done.send_replace(Some(Ok(connection)));
    drop(done);
    let mut alive = store.alive.subscribe();
    // Held by the task, the store would last for ever.
    drop(store);
    tokio::select! {
        () = driver => {}
        _gone = alive.changed() => {}
    }
    let mut state = link.0.lock();
    if state.connection.as_ref().is_some_and(|connection| connection.generation == generation) {
        // No pause: it may be back already, as after a restart.
        state.connection = None;
    }
}

type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn connect(settings: &KvRedis) -> Result<(MultiplexedConnection, Driver), String> {
    let told = |error: io::Error| error.to_string();
    match &settings.address {
        KvAddress::Unix(path) => begin(settings, UnixStream::connect(path).await.map_err(told)?).await,
        KvAddress::Tcp { host, port, tls } => {
            let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(told)?;
            tcp.set_nodelay(true).map_err(told)?;
            match tls {
                None => begin(settings, tcp).await,
                Some(tls) => {
                    let connector = TlsConnector::from(tls.client.config(Alpn::None));
                    begin(settings, connector.connect(tls.name.clone(), tcp).await.map_err(told)?).await
                }
            }
        }
    }
}

/// Say who we are, and choose the database.
async fn begin<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    settings: &KvRedis,
    stream: S,
) -> Result<(MultiplexedConnection, Driver), String> {
    let mut info = RedisConnectionInfo::default().set_db(settings.database).set_skip_set_lib_name();
    if let Some(user) = &settings.user {
        info = info.set_username(user);
    }
    if !settings.password.expose().is_empty() {
        info = info.set_password(settings.password.expose());
    }
    // The times are ours: `timeout` for the whole of an operation, `connect_timeout` for this.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
    let (connection, driver) = made.map_err(|error| error.to_string())?;
    Ok((connection, Box::pin(driver)))
}
