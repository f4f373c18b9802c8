//! A request and a response made by hand.

use std::net::{Ipv4Addr, SocketAddr};

use super::path;

/// A request for a test. Built-in variables follow from it as far as a plugin is likely
/// to read them; others can be given with [`Request::variable`].
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) scheme: &'static str,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) websocket: bool,
    pub(super) renewal: bool,
    variables: Vec<(String, String)>,
}

impl Request {
    /// A request of this method and target (path and query), by plain HTTP from
    /// 127.0.0.1:50000 to 127.0.0.1:80, without headers.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            scheme: "http",
            headers: Vec::new(),
            client: (Ipv4Addr::LOCALHOST, 50_000).into(),
            local: (Ipv4Addr::LOCALHOST, 80).into(),
            websocket: false,
            renewal: false,
            variables: Vec::new(),
        }
    }

    /// A GET of this target.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A WebSocket handshake for this target.
    pub fn websocket(target: &str) -> Self {
        let mut request = Self::get(target)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.websocket = true;
        request
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// With this value of a variable, whether built-in or set by an earlier hook.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From this client.
    #[must_use]
    pub fn client(mut self, address: SocketAddr) -> Self {
        self.client = address;
        self
    }

    /// To this address of the proxy.
    #[must_use]
    pub fn local(mut self, address: SocketAddr) -> Self {
        self.local = address;
        self
    }

    /// Over TLS.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// Its tunnel is open already, and it is asked about again.
    #[must_use]
    pub fn renewal(mut self) -> Self {
        self.renewal = true;
        self
    }

    pub(super) fn path(&self) -> String {
        path::normalise(self.target.split('?').next().unwrap_or_default())
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    fn text(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.values(name).map(String::from_utf8_lossy).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(super) fn authority(&self) -> String {
        self.text("host").unwrap_or_default()
    }

    pub(super) fn host(&self) -> String {
        let authority = self.authority().to_ascii_lowercase();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host.to_owned(),
            _ => authority,
        }
    }

    pub(super) fn variable_value(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.variables.iter().find(|(n, _)| n == name) {
            return Some(value.clone());
        }
        if let Some(header) = name.strip_prefix("http_") {
            return self.text(&header.replace('_', "-"));
        }
        if let Some(argument) = name.strip_prefix("arg_") {
            let mut pairs = self.query()?.split('&').filter_map(|pair| pair.split_once('='));
            return pairs.find(|(n, _)| n.eq_ignore_ascii_case(argument)).map(|(_, value)| value.to_owned());
        }
        if let Some(cookie) = name.strip_prefix("cookie_") {
            let lines = self.values("cookie").filter_map(|line| std::str::from_utf8(line).ok());
            let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim_start().split_once('='));
            return pairs.find(|(n, _)| *n == cookie).map(|(_, value)| value.trim_end().to_owned());
        }
        Some(match name {
            "host" => self.host(),
            "remote_addr" => self.client.ip().to_string(),
            "remote_port" => self.client.port().to_string(),
            "server_addr" => self.local.ip().to_string(),
            "server_port" => self.local.port().to_string(),
            "scheme" => self.scheme.to_owned(),
            "request_method" => self.method.clone(),
            "request_uri" => self.target.clone(),
            "uri" | "document_uri" => self.path(),
            "args" | "query_string" => self.query()?.to_owned(),
            "is_args" => if self.query().is_some_and(|query| !query.is_empty()) { "?" } else { "" }.to_owned(),
            "proxy_add_x_forwarded_for" => match self.text("x-forwarded-for") {
                Some(before) => format!("{before}, {}", self.client.ip()),
                None => self.client.ip().to_string(),
            },
            _ => return None,
        })
    }
}

/// The head of a response for a test.
#[derive(Debug, Clone)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Response {
    /// With this status and no headers.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }
}
