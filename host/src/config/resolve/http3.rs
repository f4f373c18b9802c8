//! `http3` of a listener, and what it takes to speak HTTP/3.

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use crate::config::document::Value;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::{AltSvc, HostKey, Http3, QuicRetry};

/// The fewest bytes of a host key.
const LEAST_KEY: usize = 32;

/// What a listener that speaks HTTP/3 says of it. `asked` is where that is said.
pub(super) fn http3(table: &Reader<'_>, asked: &Text<'_>, speaks_tls: bool) -> Http3 {
    let problem = |message: &str, hint: &str| table.cx.hinted(asked.at, &asked.path, message, hint);
    if !speaks_tls {
        problem("HTTP/3 needs TLS", "add `tls = { … }` to the listener");
    }
    if table.own(&k::PROXY_PROTOCOL).is_some_and(|item| !matches!(item.node.value, Value::Flag(false))) {
        problem(
            "HTTP/3 does not go with `proxy_protocol`, which stands before the bytes of a TCP connection",
            "give HTTP/3 a listener of its own, with another address",
        );
    }
    let versions = table.table(&k::LISTEN_TLS).own_texts(&k::LISTEN_VERSIONS);
    if !versions.is_empty() && versions.iter().all(|version| version.text != "1.3") {
        problem("HTTP/3 needs TLS 1.3", "add \"1.3\" to `tls.versions`");
    }
    let own = table.table(&k::LISTEN_HTTP3);
    Http3 {
        retry: match own.text(&k::HTTP3_RETRY) {
            Some("always") => QuicRetry::Always,
            Some("off") => QuicRetry::Off,
            _ => QuicRetry::Auto,
        },
        alt_svc: alt_svc(&own),
        host_key: host_key(&own),
        buffer: own.size(&k::HTTP3_BUFFER).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default(),
    }
}

/// `http3` where the listener does not speak it.
pub(super) fn unused(table: &Reader<'_>) {
    if let Some(item) = table.own(&k::LISTEN_HTTP3) {
        let hint = "add \"h3\" to `protocols`";
        table.cx.hinted(item.at(), &item.path, "the listener does not speak HTTP/3", hint);
    }
}

fn alt_svc(table: &Reader<'_>) -> AltSvc {
    let Some(text) = table.own_placed(&k::HTTP3_ALT_SVC) else { return AltSvc::OwnPort };
    if text.text == "off" {
        return AltSvc::Off;
    }
    match HeaderValue::from_str(text.text) {
        Ok(value) => AltSvc::Value(value),
        Err(_) => {
            table.cx.problem(text.at, &text.path, "a header's value has no line ends or control characters");
            AltSvc::OwnPort
        }
    }
}

fn host_key(table: &Reader<'_>) -> Option<HostKey> {
    let text = table.own_placed(&k::HTTP3_HOST_KEY)?;
    let path = table.cx.path(text.text);
    let why = match std::fs::read(&path) {
        Ok(bytes) if bytes.len() >= LEAST_KEY => return Some(HostKey(Sha256::digest(&bytes).into())),
        Ok(bytes) => format!("{} has {} bytes; {LEAST_KEY} are needed", path.display(), bytes.len()),
        Err(error) => format!("{} cannot be read: {error}", path.display()),
    };
    table.cx.hinted(text.at, &text.path, why, "such as made by `openssl rand -out quic.key 32`");
    None
}
