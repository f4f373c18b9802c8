//! One client connection in HTTP/3 (RFC 9114): many requests and tunnels at once, each a stream
//! of QUIC.
//!
//! Each stream has a task of its own; QUIC has one for the connection; this one takes streams,
//! and says when the connection ends.

mod body;
mod control;
mod request;
mod respond;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::http3::{Broken, Code, varint};
use crate::proxy::Connection;
use crate::snapshot::Downstream;
use control::{Control, Opened};

/// Requests that a client has given up before they were answered, less those that were
/// answered; with more the connection ends. Against clients that ask and reset at once
/// (CVE-2023-44487, "rapid reset").
const MOST_ABANDONED: u32 = 100;
/// The least time from one look at an idle connection to the next.
const LOOK: Duration = Duration::from_millis(10);
/// How long a client has between the two GOAWAYs, at least and at most: twice what a packet
/// takes there and back, if that is between.
const GRACE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What the streams of a connection share.
struct Shared {
    /// QUIC's side of it.
    quic: quinn::Connection,
    /// What its requests see.
    connection: Arc<Connection>,
    /// The streams that are under way.
    open: AtomicUsize,
    /// Told when none is under way any more.
    empty: Notify,
    /// See [`MOST_ABANDONED`].
    abandoned: AtomicU32,
    /// Which of the client's own streams there are.
    opened: Opened,
}

impl Shared {
    /// End the connection: the client breaks the protocol.
    fn fail(&self, code: Code, why: &str) {
        tracing::debug!(client = %self.connection.client.address, why, "HTTP/3 is broken off");
        self.quic.close(code.into(), why.as_bytes());
    }

    /// A stream's frames break off.
    fn broken(&self, broken: Broken) {
        if let Broken::Connection(code, why) = broken {
            self.fail(code, why);
        }
    }

    /// A client gave up a request that was not answered yet.
    fn abandoned(&self) {
        if self.abandoned.fetch_add(1, Ordering::Relaxed) >= MOST_ABANDONED {
            self.fail(Code::EXCESSIVE_LOAD, "too many requests are given up");
        }
    }

    /// A request was answered.
    fn answered(&self) {
        let less = |count: u32| count.checked_sub(1);
        // At none there is nothing to take away.
        let _none = self.abandoned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// A stream that is under way, until this is dropped.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.empty.notify_one();
        }
    }
}

/// Speak HTTP/3 with a client until it is over.
pub(super) async fn serve(quic: quinn::Connection, connection: Arc<Connection>, draining: watch::Receiver<bool>) {
    let settings = connection.proxy.snapshot.load().downstream;
    let address = connection.client.address;
    let begin = Control::open(&quic, settings.max_head as u64);
    let Ok(Some(control)) = timeout(settings.header_timeout, begin).await else {
        quic.close(Code::GENERAL_PROTOCOL.into(), b"no control stream can be opened");
        return tracing::debug!(client = %address, "no HTTP/3");
    };
    let shared = Arc::new(Shared {
        quic,
        connection,
        open: AtomicUsize::new(0),
        empty: Notify::new(),
        abandoned: AtomicU32::new(0),
        opened: Opened::default(),
    });
    // Boxed, since tunnels keep the connection's task for long.
    Box::pin(drive(&shared, control, &settings, draining)).await;
    tracing::debug!(client = %address, end = ?shared.quic.close_reason(), "an HTTP/3 connection ended");
    // QUIC's task sends the word of it, if it is still to be sent.
    shared.quic.close(Code::NO_ERROR.into(), b"");
    tokio::task::yield_now().await;
}

/// The server drains.
async fn drains(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the worker.
    let _gone = draining.wait_for(|draining| *draining).await;
}

/// How far the end of a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// It is not near.
    Not,
    /// The client knows, and what it has sent meanwhile is still served, until then.
    Told(Instant),
    /// Nothing new is served.
    Closing,
}

/// Take streams, until the connection ends. GOAWAY is sent when the server drains, when the
/// connection was idle or open for too long, or has served enough: what is under way then goes on
/// to its end. It is sent twice, as RFC 9114 §5.2 advises: what is on its way when the first one
/// arrives is not refused.
async fn drive(shared: &Arc<Shared>, mut control: Control, settings: &Downstream, mut draining: watch::Receiver<bool>) {
    let (since, mut idle_since) = (Instant::now(), Instant::now());
    let (mut served, mut next) = (0_u64, 0_u64);
    let mut leaving = Leaving::Not;
    let mut timer = std::pin::pin!(sleep(settings.keepalive_timeout));
    loop {
        let mut leave = false;
        tokio::select! {
            biased;
            stream = shared.quic.accept_bi() => {
                let Ok((send, recv)) = stream else { return };
                if leaving == Leaving::Closing {
                    stream::reject(send, recv);
                    continue;
                }
                idle_since = Instant::now();
                served += 1;
                next = u64::from(quinn::VarInt::from(recv.id())).saturating_add(4);
                tokio::spawn(stream::serve(Counted::new(shared), send, recv));
                leave = served >= settings.keepalive_requests || since.elapsed() >= settings.keepalive_time;
            }
            stream = shared.quic.accept_uni() => {
                let Ok(recv) = stream else { return };
                tokio::spawn(control::read(Arc::clone(shared), recv));
            }
            () = shared.empty.notified() => idle_since = Instant::now(),
            () = drains(&mut draining), if leaving == Leaving::Not => leave = true,
            () = &mut timer, if leaving != Leaving::Closing => match leaving {
                Leaving::Told(_) => {
                    leaving = Leaving::Closing;
                    control.goaway(next).await;
                }
                _ => {
                    if shared.open.load(Ordering::Relaxed) > 0 {
                        idle_since = Instant::now();
                    }
                    leave = idle_since.elapsed() >= settings.keepalive_timeout;
                    timer.as_mut().reset(idle_since + settings.keepalive_timeout.max(LOOK));
                }
            }
        }
        if leave && leaving == Leaving::Not {
            let until = Instant::now() + (shared.quic.rtt() * 2).clamp(GRACE.0, GRACE.1);
            leaving = Leaving::Told(until);
            timer.as_mut().reset(until);
            control.goaway(varint::MOST - 3).await;
        }
        if leaving == Leaving::Closing && shared.open.load(Ordering::Relaxed) == 0 {
            return;
        }
    }
}
