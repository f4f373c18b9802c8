//! What a hook can read: the request, the response's head, and how it ended.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, StatusCode, Version};
use tokio::time::Instant;

use super::maps::{Kept, Maps};
use super::outcome::Outcome;
use super::own::Own;
use crate::message::Fields;
use crate::proxy_protocol::Ends;
use crate::tls::server::Facts;

/// The request as hooks see it. The proxy owns it in an `Arc` and changes it between
/// hook calls, when it holds the only reference.
#[derive(Debug, Clone)]
pub struct View {
    /// Its number within the process: what `request_id` is made of.
    pub serial: u64,
    /// The method as sent.
    pub method: Method,
    /// The protocol version that the client speaks.
    pub version: Version,
    /// The request target as the client sent it: path and query.
    pub path_with_query: String,
    /// What the client sent, where the proxy went on by another path.
    pub original: Option<Box<str>>,
    /// Normalised path for matching, as nginx's `$uri`.
    pub path: String,
    /// Host header or `:authority`, as sent; empty where there is none.
    pub authority: String,
    /// The host name alone, lower case, without port, as nginx's `$host`.
    pub host: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Whether this is a checked WebSocket handshake.
    pub is_websocket: bool,
    /// Whether its tunnel is open already, and authorizers are asked about it again.
    pub is_renewal: bool,
    /// The request's headers, with the edits of earlier hooks.
    pub headers: Fields,
    /// The client's end: what a proxy in front says where that is believed (`real_ip`,
    /// `proxy_protocol`), with port 0 where it names none; else the connection's.
    pub client: SocketAddr,
    /// The connection's other end: the client's, or that of a proxy in front.
    pub peer: SocketAddr,
    /// The proxy's end.
    pub local: SocketAddr,
    /// The connection that it came over.
    pub arrival: Arrival,
    /// Variables that hooks set.
    pub variables: Vec<(String, String)>,
    /// The route's name once it is known; empty before.
    pub route: Arc<str>,
    /// The site's first name once it is known; empty before.
    pub site: Arc<str>,
    /// What the rates said, in nginx's words (`PASSED`, `DELAYED`, `REJECTED` …); empty where
    /// none counted it.
    pub limit_req_status: &'static str,
    /// The same of the numbers of what is open.
    pub limit_conn_status: &'static str,
    /// The upstream's name once it is known; empty before.
    pub upstream: Arc<str>,
    /// What has become of it so far, where hooks can ask.
    pub outcome: Outcome,
    /// The configuration's maps.
    pub maps: Arc<Maps>,
    /// Their values, as far as the request has asked for them.
    pub kept: Kept,
    /// What plugins keep for it alone.
    pub own: Own,
    /// Resolves nginx's variable names.
    pub builtins: &'static dyn Builtins,
}

/// The connection that a request came over.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// Its number within the process. nginx: `$connection`.
    pub connection: u64,
    /// Which of its requests this is, from 1. nginx: `$connection_requests`.
    pub request: u64,
    /// When it was accepted; none where nobody knows.
    pub since: Option<Instant>,
    /// What its TLS handshake brought to light; none on plain connections.
    pub tls: Option<Arc<Facts>>,
    /// What a proxy in front says of it by the PROXY protocol; none where none does.
    pub proxied: Option<Ends>,
}

/// Resolves built-in variables. Implemented by `proxy/variables.rs`, the one place that
/// knows nginx's names; here as a trait so that hooks depend on no phase of the proxy.
pub trait Builtins: Send + Sync + std::fmt::Debug {
    /// The value of the variable `name` (without `$`), written to `out`; false where
    /// there is no such value.
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool;

    /// As [`Builtins::resolve`], of the variables that come with the answer or the end.
    fn outcome(&self, outcome: &Outcome, name: &str, out: &mut Vec<u8>) -> bool;

    /// Append the value of a header by its name in a variable, `-` being `_`; false where
    /// there is none.
    fn header(&self, headers: &Fields, name: &str, out: &mut Vec<u8>) -> bool;

    /// The `request_id` of the request with this number; none where nobody knows.
    fn request_id(&self, _serial: u64) -> Option<String> {
        None
    }
}

impl View {
    /// The variable `name` (without `$`): a built-in one, a map, or one that a hook set.
    /// Appends its value to `out`; false where there is none.
    pub fn variable(&self, name: &str, out: &mut Vec<u8>) -> bool {
        if self.builtins.resolve(self, name, out) {
            return true;
        }
        if let Some(number) = self.maps.find(name) {
            self.maps.put_kept(number, self, &self.kept, out);
            return true;
        }
        match self.variables.iter().find(|(n, _)| n == name) {
            Some((_, value)) => {
                out.extend_from_slice(value.as_bytes());
                true
            }
            None => false,
        }
    }
}

/// A response's head as hooks see it.
#[derive(Debug, Clone)]
pub struct ResponseView {
    /// The status; 101 for an accepted handshake.
    pub status: StatusCode,
    /// The headers.
    pub headers: Fields,
}

/// How an exchange went: what the access log and the `access-log` hook are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The status that the client was sent; 499 where the client left first.
    pub status: u16,
    /// The peer that answered.
    pub upstream: Option<Arc<str>>,
    /// Whether a tunnel was opened.
    pub tunnel: bool,
    /// `done`, or the stable code of an error.
    pub cause: &'static str,
    /// From the head to the end, µs.
    pub duration_us: u64,
    /// Bytes from the client after the head.
    pub bytes_in: u64,
    /// Bytes to the client after the head.
    pub bytes_out: u64,
}
