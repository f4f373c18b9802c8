//! One client connection in HTTP/1.1, until it ends or becomes a tunnel.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::watched::Watched;
use crate::listener::Accepted;
use crate::pace::Pace;
use crate::proxy::{self, Connection, Proxy};
use crate::snapshot::Downstream;
use crate::stream::{MAX_HEADERS, Stream};
use crate::tunnel;

/// How long a client may take to notice that its connection is over. nginx: `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// Serve one connection.
pub async fn serve(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) {
    let Accepted { stream, client, local, visit } = accepted;
    let settings = proxy.snapshot.load().downstream;
    let pace = Pace::new();
    let connection = Arc::new(Connection {
        proxy: Arc::clone(&proxy),
        client,
        local,
        scheme: "http",
        pace: Arc::clone(&pace),
        opening: Mutex::new(None),
    });
    let io = Watched::new(Stream::new(stream, settings.send_timeout), Arc::clone(&pace));
    let (stream, early) = http(io, &connection, settings, draining).await;
    let opening = connection.opening.lock().take();
    match opening {
        Some(opening) => {
            let entry = proxy.tunnels.enter();
            // A task of its own: that of the HTTP connection is ten times as large.
            tokio::spawn(async move {
                tunnel::run(stream, early, opening, entry).await;
                drop(visit);
            });
        }
        None => linger(stream).await,
    }
}

/// Speak HTTP until it is over; gives back the stream and what was read beyond HTTP.
async fn http(
    io: Watched,
    connection: &Arc<Connection>,
    settings: Downstream,
    mut draining: watch::Receiver<bool>,
) -> (TcpStream, bytes::Bytes) {
    let service = service_fn(|request| {
        // Boxed, since hyper gives the stream back only from a service that can be moved.
        let connection = Arc::clone(connection);
        Box::pin(async move { Ok::<_, Infallible>(proxy::handle(connection, request).await) })
    });
    let mut builder = Builder::new();
    builder
        .max_headers(MAX_HEADERS)
        .preserve_header_case(true)
        .max_header_size(settings.max_head)
        .max_buf_size(settings.max_head.max(8192));
    let mut http = builder.serve_connection(TokioIo::new(io), service);
    let mut drain = pin!(draining.wait_for(|draining| *draining));
    let mut drained = false;
    let mut timer = pin!(sleep_until(Instant::now() + settings.header_timeout));
    poll_fn(|cx| {
        if !drained && drain.as_mut().poll(cx).is_ready() {
            drained = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        if let Poll::Ready(over) = http.poll_without_shutdown(cx) {
            if let Err(error) = over {
                tracing::debug!(client = %connection.client, %error, "client connection ended");
            }
            return Poll::Ready(());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let deadline = connection.pace.deadline(settings.header_timeout, settings.keepalive_timeout);
            if deadline.is_some_and(|deadline| deadline <= now) {
                tracing::debug!(client = %connection.client, "client connection timed out");
                return Poll::Ready(());
            }
            // While a request is served there is no deadline to meet: look again later.
            timer.as_mut().reset(deadline.unwrap_or(now + settings.header_timeout));
        }
        Poll::Pending
    })
    .await;
    let Parts { io, read_buf, .. } = http.into_parts();
    (io.into_inner().into_inner(), read_buf)
}

/// Close so that the client reads the last answer: with bytes unread, closing at once would
/// reset the connection under it. nginx: `lingering_close`.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = [0; 512];
    let rest = async { while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {} };
    // Whoever is still sending after that is cut off.
    let _cut_off = timeout(LINGER, rest).await;
}
