//! nginx's variables of `stream`, by nginx's names. Those that HTTP has too are resolved in
//! `proxy/`; the names are in `config/variables.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Version};

use super::Arrived;
use super::hello::Hello;
use crate::config::is_stream_variable;
use crate::hook::{Arrival, Builtins, Kept, Maps, Outcome, Own, View};
use crate::message::Fields;
use crate::proxy;
use crate::tls::server::Facts;

/// The variables of a stream's connection over a [`View`] without a request in it.
#[derive(Debug)]
struct OfStream;

impl Builtins for OfStream {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        match name {
            "protocol" => out.extend_from_slice(b"TCP"),
            "stream" => out.extend_from_slice(view.site.as_bytes()),
            name => return is_stream_variable(name) && proxy::builtins().resolve(view, name, out),
        }
        true
    }

    fn outcome(&self, outcome: &Outcome, name: &str, out: &mut Vec<u8>) -> bool {
        match name {
            "session_time" => proxy::builtins().outcome(outcome, "request_time", out),
            "upstream_session_time" => proxy::builtins().outcome(outcome, "upstream_response_time", out),
            "upstream_bytes_sent" => each(outcome, outcome.bytes_in, out),
            "upstream_bytes_received" => each(outcome, outcome.bytes_out, out),
            name => is_stream_variable(name) && proxy::builtins().outcome(outcome, name, out),
        }
    }

    fn header(&self, _: &Fields, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// One number for each peer that was tried, as nginx writes them: only with the last one was there
/// a connection.
fn each(outcome: &Outcome, last: u64, out: &mut Vec<u8>) -> bool {
    let Some((_, before)) = outcome.tries.split_last() else { return false };
    before.iter().for_each(|_| out.extend_from_slice(b"0, "));
    out.extend_from_slice(last.to_string().as_bytes());
    true
}

/// What a view is made of.
pub(super) struct About<'a> {
    /// The client's end, as a proxy in front says it.
    pub(super) client: SocketAddr,
    /// The connection's other end.
    pub(super) peer: SocketAddr,
    /// The proxy's end.
    pub(super) local: SocketAddr,
    /// The stream's name.
    pub(super) stream: &'a Arc<str>,
    /// The upstream's name.
    pub(super) upstream: &'a Arc<str>,
    /// The configuration's maps.
    pub(super) maps: &'a Arc<Maps>,
}

/// A connection as templates, maps, zones and logs see it.
pub(super) fn view(about: &About<'_>, arrived: &Arrived<'_>) -> View {
    View {
        serial: 0,
        method: Method::GET,
        version: Version::HTTP_11,
        path_with_query: String::new(),
        original: None,
        path: String::new(),
        authority: String::new(),
        host: String::new(),
        scheme: "",
        is_websocket: false,
        headers: Fields::new(),
        client: about.client,
        peer: about.peer,
        local: about.local,
        arrival: Arrival {
            connection: arrived.client.number,
            request: 0,
            since: Some(arrived.client.since),
            tls: None,
            proxied: arrived.proxied,
        },
        variables: Vec::new(),
        route: Arc::default(),
        site: Arc::clone(about.stream),
        limit_req_status: "",
        limit_conn_status: "",
        is_renewal: false,
        upstream: Arc::clone(about.upstream),
        outcome: Outcome::default(),
        maps: Arc::clone(about.maps),
        kept: Kept::default(),
        own: Own::default(),
        builtins: &OfStream,
    }
}

/// What has come to light of a connection: what its client has asked for, where that was looked at
/// and is TLS, and its handshake, where TLS is terminated.
pub(super) fn tell(view: &mut View, hello: Option<Hello>, tls: Option<Arc<Facts>>) {
    view.arrival.tls = tls;
    let Some(hello) = hello else { return };
    let name = hello.server_name.as_deref().unwrap_or_default();
    for (variable, value) in [
        ("ssl_preread_server_name", name.to_owned()),
        ("ssl_preread_alpn_protocols", hello.to_string()),
        ("ssl_preread_protocol", hello.protocol.to_owned()),
    ] {
        view.variables.push((variable.to_owned(), value));
    }
}
