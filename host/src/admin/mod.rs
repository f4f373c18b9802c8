//! What operators ask the process: `/metrics` for Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::listener::bind;
use crate::plugin::Runtime;
use crate::proxy::Proxy;
use crate::server::{StartError, Worker};

/// Serve `/metrics` on the first worker. Returns the address with its real port.
///
/// # Errors
/// Where the address cannot be listened on.
pub fn start(
    address: SocketAddr,
    workers: &[Worker],
    proxy: &Arc<Proxy>,
    runtime: &Arc<Runtime>,
) -> Result<SocketAddr, StartError> {
    let failed = |error| StartError::Bind { address, error };
    let socket = bind(address, 16).map_err(failed)?;
    let real = socket.local_addr().map_err(failed)?;
    let (proxy, runtime) = (Arc::clone(proxy), Arc::clone(runtime));
    if let Some(worker) = workers.first() {
        worker.run(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, runtime) = (Arc::clone(&proxy), Arc::clone(&runtime));
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let response = answer(&request, &proxy, &runtime);
                        async { Ok::<_, Infallible>(response) }
                    });
                    // Whoever asks sees the failure on his side.
                    let _failed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    }
    tracing::info!(address = %real, "admin listening");
    Ok(real)
}

fn answer(request: &Request<Incoming>, proxy: &Proxy, runtime: &Runtime) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" if is_read => {
            let mut text = String::new();
            proxy.metrics.render(&mut text, proxy.tunnels.len());
            runtime.metrics().render(&mut text);
            (StatusCode::OK, "text/plain; version=0.0.4", text)
        }
        "/metrics" => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "there is /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
