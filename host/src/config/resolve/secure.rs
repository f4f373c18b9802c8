//! `security_headers` and `redirect_https`.

use std::net::SocketAddr;

use serde_json::{Map as Object, Value as Json, json};
use tidegate_header_lines::{SECURITY, STRICT_TRANSPORT};

use super::headers::Rules;
use super::plugin::Generated;
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::keys as k;
use crate::config::reader::{Item, Reader, Text, entries};

/// A header that an answer gets where it has none of its name.
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) value: Text<'a>,
    /// Only over TLS (RFC 6797 §7.2).
    pub(super) over_tls: bool,
}

/// What a table's `security_headers` and those around it come to; empty where they are off.
pub(super) fn headers<'a>(table: &Reader<'a>) -> Vec<Header<'a>> {
    let mut headers: Vec<Header<'a>> = Vec::new();
    let mut is_on = false;
    for item in table.all(&k::SECURITY_HEADERS) {
        match item.node.value {
            Value::Flag(true) | Value::Table(_) => {}
            Value::Flag(false) => {
                is_on = false;
                headers.clear();
                continue;
            }
            // Reported.
            _ => continue,
        }
        if !std::mem::replace(&mut is_on, true) {
            headers.extend(usual(&item));
        }
        for entry in entries(&item) {
            headers.retain(|header| !header.name.eq_ignore_ascii_case(entry.name));
            let over_tls = entry.name.eq_ignore_ascii_case(STRICT_TRANSPORT.0);
            headers.push(Header { name: entry.name, value: entry.value, over_tls });
        }
    }
    headers.retain(|header| !header.value.text.is_empty());
    headers
}

fn usual<'a>(item: &Item<'_>) -> impl Iterator<Item = Header<'a>> {
    let (path, at) = (item.path.clone(), item.at());
    let all = std::iter::once(STRICT_TRANSPORT).chain(SECURITY);
    all.map(move |(name, text)| {
        let over_tls = name == STRICT_TRANSPORT.0;
        Header { name, value: Text { text, path: path.clone(), at }, over_tls }
    })
}

/// What security-headers is told for a route; none where it has nothing to do.
pub(super) fn generate(route: &Reader<'_>, rules: &Rules<'_>) -> Option<Generated> {
    let mut headers = headers(route);
    // What a rule says of a name is said there.
    headers.retain(|header| !rules.tell_clients(header.name));
    if headers.is_empty() {
        return None;
    }
    let (mut config, mut spots) = (Object::new(), Vec::new());
    for (key, over_tls) in [("headers", false), ("over_tls", true)] {
        let mut list = Vec::new();
        for (i, header) in headers.iter().filter(|header| header.over_tls == over_tls).enumerate() {
            spots.push(route.cx.spot(format!("/{key}/{i}"), &header.value.path, header.value.at));
            list.push(json!([header.name, header.value.text]));
        }
        config.insert(key.to_owned(), Json::Array(list));
    }
    let path = route.path.clone();
    Some(Generated { config, spots, at: route.at, path, hooks: None, response_with: Vec::new() })
}

/// The listeners that speak TLS.
pub(super) fn listeners(root: &Reader<'_>) -> Vec<SocketAddr> {
    let tables = root.tables(&k::LISTENERS);
    let secure = tables.iter().filter(|table| super::tls::speaks_tls(table));
    secure.filter_map(|table| table.text(&k::LISTEN_ADDRESS)?.parse().ok()).collect()
}

/// Where clients without TLS are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Https {
    status: u16,
    port: u16,
}

impl Https {
    /// Of a table or those around it; none where it is off. `secure` are the listeners with TLS.
    pub(super) fn of(table: &Reader<'_>, secure: &[SocketAddr]) -> Option<Self> {
        let item = table.find(&k::REDIRECT_HTTPS)?;
        if !matches!(item.node.value, Value::Flag(true) | Value::Table(_)) {
            return None;
        }
        let holder = table.holder(&[&k::REDIRECT_HTTPS])?.table(&k::REDIRECT_HTTPS);
        let status = holder.count(&k::HTTPS_STATUS).and_then(|n| u16::try_from(n).ok());
        let port = holder.count(&k::HTTPS_PORT).and_then(|n| u16::try_from(n).ok());
        Some(Self {
            status: status.unwrap_or(301),
            port: port.or_else(|| usual_port(table, secure)).unwrap_or(defaults::HTTPS_PORT),
        })
    }

    /// What the router is told.
    pub(super) fn json(self) -> Json {
        let mut object = Object::new();
        object.insert("status".into(), json!(self.status));
        object.insert("port".into(), json!(self.port));
        Json::Object(object)
    }

    /// The same as a page for nginx's status 497.
    pub(super) fn url(self) -> String {
        let port = if self.port == defaults::HTTPS_PORT { String::new() } else { format!(":{}", self.port) };
        format!("https://$host{port}$request_uri")
    }

    /// The status that goes with it.
    pub(super) fn status(self) -> u16 {
        self.status
    }
}

/// The port where the site has TLS, or else anybody; none where nobody has.
fn usual_port(table: &Reader<'_>, secure: &[SocketAddr]) -> Option<u16> {
    let listen: Vec<SocketAddr> =
        table.site().own_texts(&k::LISTEN).iter().filter_map(|text| text.text.parse().ok()).collect();
    let here: Vec<u16> = secure.iter().filter(|a| listen.is_empty() || listen.contains(a)).map(|a| a.port()).collect();
    let all: Vec<u16> = secure.iter().map(SocketAddr::port).collect();
    let ports = if here.is_empty() { all } else { here };
    ports.iter().find(|port| **port == defaults::HTTPS_PORT).or(ports.first()).copied()
}

/// Report what is wrong with a table's own `redirect_https`.
pub(super) fn check(table: &Reader<'_>, secure: &[SocketAddr]) {
    let Some(item) = table.own(&k::REDIRECT_HTTPS) else { return };
    let Some(https) = Https::of(table, secure) else { return };
    let own = table.table(&k::REDIRECT_HTTPS);
    if let Some(status) = own.own(&k::HTTPS_STATUS).filter(|_| !matches!(https.status, 301 | 302 | 307 | 308)) {
        let message = format!("{} sends nobody on", https.status);
        own.cx.hinted(status.at(), &status.path, message, "301, 302, 307 or 308");
    }
    if https.port == 0 && own.own(&k::HTTPS_PORT).is_none() {
        let message = "the system chooses the port of the listener with TLS, so that it cannot be named";
        table.cx.hinted(item.at(), &item.path, message, "write `redirect_https = { port = … }`");
    }
}
