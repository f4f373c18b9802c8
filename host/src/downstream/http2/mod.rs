//! One client connection in HTTP/2 (RFC 9113): many requests and tunnels at once.
//!
//! Each stream has a task of its own; this one drives the connection that they share.

mod request;
mod respond;
mod stream;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{Builder, Connection as Streams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::Connection;
use crate::snapshot::Downstream;
use crate::socket::Socket;

/// What a client may send on one stream before it is read, bytes: what a slow peer makes the
/// proxy hold at most. RFC 9113 has 65,535; four times that fills a gigabit at 2 ms.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of all streams of a connection. Where bodies wait for slow peers, so do others.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What a stream may have waiting for the client's socket, bytes.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that a client has reset and whose tasks are not gone yet; with more the connection
/// ends. Against clients that ask and reset at once (CVE-2023-44487, "rapid reset").
const MOST_RESET: usize = 50;

/// The streams that are under way.
#[derive(Debug, Default)]
pub(super) struct Open {
    streams: AtomicUsize,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        open.streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Speak HTTP/2 with a client until it is over.
pub(super) async fn serve(socket: Socket, connection: Arc<Connection>, draining: watch::Receiver<bool>) {
    let settings = connection.proxy.snapshot.load().downstream;
    let hello = builder(&settings).handshake(socket);
    let mut streams = match timeout(settings.header_timeout, hello).await {
        Ok(Ok(streams)) => streams,
        Ok(Err(error)) => return tracing::debug!(client = %connection.client.address, %error, "no HTTP/2"),
        Err(_elapsed) => return tracing::debug!(client = %connection.client.address, "no HTTP/2 in time"),
    };
    // Boxed, since tunnels keep the connection's task for long.
    let end = Box::pin(drive(&mut streams, &connection, &settings, draining)).await;
    tracing::debug!(client = %connection.client.address, end, "an HTTP/2 connection ended");
}

fn builder(settings: &Downstream) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(settings.max_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(settings.max_streams)
        .max_concurrent_reset_streams(MOST_RESET)
        .max_pending_accept_reset_streams(MOST_RESET)
        // RFC 8441 §3: tunnels are served.
        .enable_connect_protocol();
    builder
}

/// Take streams and keep the connection going, until it ends. GOAWAY is sent when the server
/// drains, when the connection was idle or open for too long, or has served enough: what is
/// under way then goes on to its end.
async fn drive(
    streams: &mut Streams<Socket, Bytes>,
    connection: &Arc<Connection>,
    settings: &Downstream,
    mut draining: watch::Receiver<bool>,
) -> String {
    let open = Arc::new(Open::default());
    let (since, mut idle_since) = (Instant::now(), Instant::now());
    let (mut served, mut leaving) = (0_u64, false);
    let mut timer = std::pin::pin!(sleep(settings.keepalive_timeout));
    loop {
        let next = tokio::select! {
            biased;
            next = poll_fn(|cx| streams.poll_accept(cx)) => next,
            _ = draining.wait_for(|draining| *draining), if !leaving => {
                leaving = true;
                streams.graceful_shutdown();
                continue;
            }
            () = &mut timer, if !leaving => {
                let busy = open.streams.load(Ordering::Relaxed) > 0;
                if busy {
                    idle_since = Instant::now();
                } else if idle_since.elapsed() >= settings.keepalive_timeout {
                    leaving = true;
                    streams.graceful_shutdown();
                    continue;
                }
                timer.as_mut().reset(idle_since + settings.keepalive_timeout.max(LOOK));
                continue;
            }
        };
        match next {
            Some(Ok((request, respond))) => {
                served += 1;
                idle_since = Instant::now();
                tokio::spawn(stream::serve(Arc::clone(connection), request, respond, Counted::new(&open)));
                if !leaving && (served >= settings.keepalive_requests || since.elapsed() >= settings.keepalive_time) {
                    leaving = true;
                    streams.graceful_shutdown();
                }
            }
            Some(Err(error)) => return error.to_string(),
            None => return "closed".to_owned(),
        }
    }
}

/// The least time from one look at an idle connection to the next.
const LOOK: std::time::Duration = std::time::Duration::from_millis(10);
