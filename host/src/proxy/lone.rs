//! A request without a connection, as hooks see it: for `tidegate plugin test` and `bench`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::variables::Nginx;
use super::{handshake, headers, path, receive};
use crate::error::{Error, Kind};
use crate::hook::{Arrival, Builtins, Kept, Outcome, Own, View};
use crate::message::{Fields, RequestHead};
use crate::tls::server::Facts;

/// What there is to know of a request that came over no connection.
#[derive(Debug, Clone)]
pub struct Lone {
    /// Its head.
    pub head: RequestHead,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's end of the connection that there might have been.
    pub client: SocketAddr,
    /// The proxy's end.
    pub local: SocketAddr,
    /// What its TLS handshake would have brought to light.
    pub tls: Option<Facts>,
    /// Variables, by their names without `$`. They come before the built-in ones, so that each
    /// of those can be given another value.
    pub variables: Vec<(String, String)>,
}

/// The request as hooks see it once it was received and checked: the same path, host and
/// judgement about a handshake as a request that came over the wire.
///
/// # Errors
/// Why it would be refused before any hook is asked.
pub fn lone(lone: Lone) -> Result<View, Error> {
    let Lone { head: RequestHead { method, target, version, fields }, scheme, client, local, tls, variables } = lone;
    let (authority, path_with_query) = receive::split(target, &fields);
    let mut view = View {
        serial: receive::next_serial(),
        method,
        version,
        original: None,
        path: String::new(),
        host: receive::host_of(&authority),
        path_with_query,
        authority,
        scheme,
        is_websocket: false,
        is_renewal: false,
        // Whatever the plugin's isolation is, it holds.
        own: Own::new(true),
        headers: fields,
        client,
        peer: client,
        local,
        arrival: Arrival { connection: 1, request: 1, since: None, tls: tls.map(Arc::new), proxied: None },
        variables,
        route: Arc::default(),
        site: Arc::default(),
        limit_req_status: "",
        limit_conn_status: "",
        upstream: Arc::default(),
        outcome: Outcome::default(),
        maps: Arc::default(),
        kept: Kept::default(),
        builtins: &GivenFirst,
    };
    headers::remove_nominated(&mut view.headers);
    let raw = view.path_with_query.split(['?', '#']).next().unwrap_or("/");
    view.path = path::normalize(raw).ok_or_else(|| Error::new(Kind::BadRequest, "the path leaves the root"))?;
    view.is_websocket = matches!(handshake::wish(&view)?, handshake::Upgrade::WebSocket(_));
    Ok(view)
}

/// The built-in variables, behind those that were given.
#[derive(Debug)]
struct GivenFirst;

impl Builtins for GivenFirst {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        match view.variables.iter().find(|(given, _)| given == name) {
            Some((_, value)) => {
                out.extend_from_slice(value.as_bytes());
                true
            }
            None => Nginx.resolve(view, name, out),
        }
    }

    fn outcome(&self, outcome: &Outcome, name: &str, out: &mut Vec<u8>) -> bool {
        Nginx.outcome(outcome, name, out)
    }

    fn header(&self, headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool {
        Nginx.header(headers, name, out)
    }

    fn request_id(&self, serial: u64) -> Option<String> {
        Nginx.request_id(serial)
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Version};

    use super::*;

    fn get(target: &str, fields: Fields, variables: Vec<(String, String)>) -> Lone {
        Lone {
            head: RequestHead { method: Method::GET, target: target.into(), version: Version::HTTP_11, fields },
            scheme: "http",
            client: "192.0.2.1:4711".parse().unwrap(),
            local: "198.51.100.1:80".parse().unwrap(),
            tls: None,
            variables,
        }
    }

    #[test]
    fn it_is_read_as_one_from_the_wire() {
        let mut fields = Fields::new();
        fields.append("Host", b"Chat.example.com:8080");
        let view = lone(get("/a/../b%20c?x=1", fields, vec![("remote_addr".into(), "given".into())])).unwrap();
        assert_eq!((&*view.path, &*view.host, view.is_websocket), ("/b c", "chat.example.com", false));
        let value = |name: &str| {
            let mut out = Vec::new();
            view.variable(name, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(value("arg_x").as_deref(), Some("1"));
        assert_eq!(value("remote_addr").as_deref(), Some("given"), "what is given comes first");
        assert_eq!(value("nothing"), None);
    }

    #[test]
    fn what_the_proxy_would_refuse_is_refused() {
        assert!(lone(get("/../x", Fields::new(), vec![])).is_err());
        let mut fields = Fields::new();
        fields.append("Connection", b"Upgrade");
        fields.append("Upgrade", b"websocket");
        assert!(lone(get("/ws", fields, vec![])).is_err(), "a handshake without a key");
    }
}
