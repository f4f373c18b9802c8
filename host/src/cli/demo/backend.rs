//! The demo's backend: a page, and a WebSocket echo.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpListener;

use super::echo;

const PAGE: &str = include_str!("page.html");

/// Start it on a thread of its own. Returns where it listens.
pub(super) fn start() -> std::io::Result<SocketAddr> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("demo-backend".into()).spawn(move || runtime.block_on(serve(socket)))?;
    Ok(address)
}

async fn serve(socket: std::net::TcpListener) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the demo's backend cannot listen"),
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request)) });
            // A client that leaves is no news.
            let _left = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.uri().path(), request.headers().get(SEC_WEBSOCKET_KEY).cloned()) {
        ("/", _) => text(StatusCode::OK, "text/html; charset=utf-8", PAGE),
        ("/ws", Some(key)) => switch(request, &key),
        ("/ws", None) => text(StatusCode::BAD_REQUEST, "text/plain", "this is a WebSocket\n"),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "there is / and /ws\n"),
    }
}

fn text(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn switch(request: Request<Incoming>, key: &HeaderValue) -> Response<Full<Bytes>> {
    let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            // A client that breaks the protocol or leaves ends its echo.
            let _ended = echo::echo(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "text/plain", "");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(HeaderValue::from_str(&accept).map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    response
}
