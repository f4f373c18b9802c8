//! Requests and responses of cases.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{Method, StatusCode, Version};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::show;
use crate::hook::{ResponseView, View};
use crate::message::{FieldName, FieldValue, Fields, RequestHead, accept_for, key_of};
use crate::proxy::{Lone, lone};
use crate::tls::server::{ClientFacts, Facts};

/// What a case says of its request. Everything has a default: `GET /` of `example.com` over HTTP/1.1
/// from 192.0.2.1 (RFC 5737).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RequestPart {
    method: Option<String>,
    /// Path and query.
    path: Option<String>,
    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`, `HTTP/3`.
    version: Option<String>,
    scheme: Option<String>,
    /// In place of a header `Host`.
    host: Option<String>,
    headers: Map<String, Value>,
    /// The client's address, with or without a port.
    client: Option<String>,
    /// The proxy's.
    server: Option<String>,
    /// Whether the headers of a WebSocket handshake are added.
    websocket: Option<bool>,
    tls: Option<Tls>,
    variables: BTreeMap<String, String>,
}

/// What the TLS handshake brought to light.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    protocol: Option<String>,
    cipher: String,
    server_name: Option<String>,
    alpn: Option<String>,
    client: Option<TlsClient>,
}

/// The client's certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsClient {
    subject: String,
    issuer: String,
    serial: String,
    fingerprint: String,
    /// Why it is not good; none where it is.
    fault: Option<String>,
}

/// What a case says of its response.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ResponsePart {
    status: Option<u16>,
    headers: Map<String, Value>,
}

impl RequestPart {
    /// This one with what the other says over it; headers and variables one by one.
    pub(super) fn under(&self, over: &Self) -> Self {
        let or = |over: &Option<String>, under: &Option<String>| over.clone().or_else(|| under.clone());
        Self {
            method: or(&over.method, &self.method),
            path: or(&over.path, &self.path),
            version: or(&over.version, &self.version),
            scheme: or(&over.scheme, &self.scheme),
            host: or(&over.host, &self.host),
            headers: headers_under(&self.headers, &over.headers),
            client: or(&over.client, &self.client),
            server: or(&over.server, &self.server),
            websocket: over.websocket.or(self.websocket),
            tls: over.tls.clone().or_else(|| self.tls.clone()),
            variables: self.variables.clone().into_iter().chain(over.variables.clone()).collect(),
        }
    }

    /// Whether it is a WebSocket handshake; `usual` where it does not say.
    pub(super) fn is_websocket(&self, usual: bool) -> bool {
        self.websocket.unwrap_or(usual)
    }

    /// The request as hooks see it.
    ///
    /// # Errors
    /// What is no request.
    pub(super) fn view(&self, websocket: bool) -> Result<View, String> {
        let method = self.method.as_deref().unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
        let version = match self.version.as_deref().unwrap_or("HTTP/1.1") {
            "HTTP/1.0" => Version::HTTP_10,
            "HTTP/1.1" => Version::HTTP_11,
            "HTTP/2" | "HTTP/2.0" => Version::HTTP_2,
            "HTTP/3" | "HTTP/3.0" => Version::HTTP_3,
            other => return Err(format!("`version` is HTTP/1.0, HTTP/1.1, HTTP/2 or HTTP/3, not {other}")),
        };
        let scheme = match self.scheme.as_deref() {
            Some("http") => "http",
            Some("https") => "https",
            None => {
                if self.tls.is_some() {
                    "https"
                } else {
                    "http"
                }
            }
            Some(other) => return Err(format!("`scheme` is http or https, not {other}")),
        };
        let mut fields = self.fields()?;
        if websocket {
            handshake(&mut fields);
        }
        let port = if scheme == "https" { 443 } else { 80 };
        lone(Lone {
            head: RequestHead { method, target: self.path.clone().unwrap_or_else(|| "/".to_owned()), version, fields },
            scheme,
            client: address(self.client.as_deref().unwrap_or("192.0.2.1"), 50_000)?,
            local: address(self.server.as_deref().unwrap_or("198.51.100.1"), port)?,
            tls: self.tls.as_ref().map(Tls::facts).transpose()?,
            variables: self.variables.clone().into_iter().collect(),
        })
        .map_err(|error| format!("the proxy would refuse the request: {error}"))
    }

    fn fields(&self) -> Result<Fields, String> {
        let mut fields = Fields::new();
        let named = self.headers.keys().any(|name| name.eq_ignore_ascii_case("host"));
        match &self.host {
            Some(host) => fields.append("Host", host.as_bytes()),
            None if named => {}
            None => fields.append("Host", b"example.com"),
        }
        append(&mut fields, &self.headers)?;
        Ok(fields)
    }
}

impl ResponsePart {
    pub(super) fn under(&self, over: &Self) -> Self {
        Self { status: over.status.or(self.status), headers: headers_under(&self.headers, &over.headers) }
    }

    /// The response as hooks see it: 101 for a handshake, otherwise 200, where it does not say.
    ///
    /// # Errors
    /// What is no response.
    pub(super) fn view(&self, websocket: bool) -> Result<Arc<ResponseView>, String> {
        let status = self.status.unwrap_or(if websocket { 101 } else { 200 });
        let status = StatusCode::from_u16(status).map_err(|_| format!("{status} is no status"))?;
        let mut headers = Fields::new();
        append(&mut headers, &self.headers)?;
        Ok(Arc::new(ResponseView { status, headers }))
    }
}

impl Tls {
    fn facts(&self) -> Result<Facts, String> {
        let protocol = match self.protocol.as_deref().unwrap_or("TLSv1.3") {
            "TLSv1.3" => "TLSv1.3",
            "TLSv1.2" => "TLSv1.2",
            other => return Err(format!("`tls.protocol` is TLSv1.2 or TLSv1.3, not {other}")),
        };
        let client = self.client.clone().map(|client| ClientFacts {
            subject: client.subject,
            issuer: client.issuer,
            serial: client.serial,
            fingerprint: client.fingerprint,
            fault: client.fault,
            ..ClientFacts::default()
        });
        let Self { cipher, server_name, alpn, .. } = self.clone();
        Ok(Facts { protocol, cipher, server_name, alpn, client, ..Facts::default() })
    }
}

/// The lines of a table of headers: a text, `{ hex = "…" }`, a list of them, or `false` for none.
///
/// # Errors
/// What is no header.
pub(super) fn append(fields: &mut Fields, headers: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in headers {
        let checked = FieldName::new(name.as_str()).map_err(|error| error.to_string())?;
        let values = match value {
            Value::Bool(false) => continue,
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let bytes = show::bytes_of(value).ok_or_else(|| format!("header `{name}`: a text or {{ hex = \"…\" }}"))?;
            let value = FieldValue::new(bytes).map_err(|error| format!("header `{name}`: {error}"))?;
            fields.append(checked.as_str(), value.as_bytes());
        }
    }
    Ok(())
}

fn headers_under(under: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let kept = under.iter().filter(|(name, _)| !over.keys().any(|other| other.eq_ignore_ascii_case(name)));
    kept.chain(over).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The lines of a client that wants a WebSocket (RFC 6455 §4.1), where they are not there.
fn handshake(fields: &mut Fields) {
    fields.set_default("Connection", b"Upgrade");
    fields.set_default("Upgrade", b"websocket");
    fields.set_default("Sec-WebSocket-Version", b"13");
    fields.set_default("Sec-WebSocket-Key", key_of([7; 16]).as_bytes());
}

/// What a peer answers to it.
pub(super) fn accepted(response: &mut ResponseView) {
    response.headers.set_default("Upgrade", b"websocket");
    response.headers.set_default("Connection", b"Upgrade");
    response.headers.set_default("Sec-WebSocket-Accept", accept_for(key_of([7; 16]).as_bytes()).as_bytes());
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
    text.parse().or_else(|_| alone()).map_err(|_| format!("`{text}` is no address"))
}
