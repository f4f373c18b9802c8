//! What operators ask the process: `/metrics` for Prometheus, `/status` in JSON, and nginx's
//! `/stub_status`.

mod certificates;
mod guards;
mod names;
mod peers;
mod revoke;
mod status;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidegate_cidr::Cidr;

use crate::config;
use crate::listener::bind;
use crate::plugin::Runtime;
use crate::proxy::Proxy;
use crate::server::{StartError, Worker};

/// Serve the pages on the first worker. Returns the address with its real port.
///
/// # Errors
/// Where the address cannot be listened on.
pub fn start(
    config: &config::Admin,
    workers: &[Worker],
    proxy: &Arc<Proxy>,
    runtime: &Arc<Runtime>,
) -> Result<SocketAddr, StartError> {
    let address = config.address;
    let failed = |error| StartError::Bind { address, error };
    let socket = bind(address, 16, None).map_err(failed)?;
    let real = socket.local_addr().map_err(failed)?;
    let admin = Admin {
        proxy: Arc::clone(proxy),
        runtime: Arc::clone(runtime),
        allow: config.allow.clone(),
        revoke: config.revoke,
    };
    let admin = Arc::new(admin);
    LazyLock::force(&status::STARTED);
    if let Some(worker) = workers.first() {
        worker.run(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
            while let Ok((stream, client)) = listener.accept().await {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let response = admin.answer(&request, client.ip().to_canonical());
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

/// What the operator's pages are made of.
struct Admin {
    proxy: Arc<Proxy>,
    runtime: Arc<Runtime>,
    /// Who may ask; empty for all.
    allow: Vec<Cidr>,
    /// Whether tunnels can be closed here.
    revoke: bool,
}

const PAGES: &str = "there are /metrics, /status and /stub_status\n";

impl Admin {
    fn answer(&self, request: &Request<Incoming>, client: IpAddr) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !self.allow.is_empty() && !self.allow.iter().any(|range| range.contains(client)) {
            tracing::warn!(%client, %path, "admin: not one of `admin.allow`");
            return page(StatusCode::FORBIDDEN, TEXT, "forbidden\n".to_owned());
        }
        if path == "/tunnels/revoke" && self.revoke {
            let query = request.uri().query().unwrap_or_default();
            let (status, text) = revoke::answer(&self.proxy, request.method(), request.headers(), query);
            return page(status, if status == StatusCode::OK { JSON } else { TEXT }, text);
        }
        let make: fn(&Self) -> (&'static str, String) = match path {
            "/metrics" => Self::metrics,
            "/status" => |admin| (JSON, status::json(&admin.proxy, &admin.runtime)),
            "/stub_status" => |admin| (TEXT, status::stub(&admin.proxy)),
            _ => return page(StatusCode::NOT_FOUND, TEXT, PAGES.to_owned()),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        }
        let (kind, text) = make(self);
        page(StatusCode::OK, kind, text)
    }

    fn metrics(&self) -> (&'static str, String) {
        let mut text = String::new();
        self.proxy.metrics.render(&mut text, self.proxy.tunnels.len());
        names::render(&self.proxy, &mut text);
        guards::metrics(&self.proxy, &mut text);
        peers::metrics(&self.proxy, &mut text);
        certificates::metrics(&self.proxy, &mut text);
        self.runtime.metrics().render(&mut text);
        self.proxy.snapshot.load().stores.render(&mut text);
        ("text/plain; version=0.0.4", text)
    }
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
