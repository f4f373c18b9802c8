//! `[server]`, `[log]`, `[admin]` and `[[listeners]]`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_cidr::Cidr;

use super::{tcp, tls};
use crate::config::document::Value;
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::{Admin, Listener, ProxyProtocol, ServerSettings};
use crate::config::{Context, defaults};

/// `[server]` and `[log]`.
pub(super) fn settings(root: &Reader<'_>) -> ServerSettings {
    let server = root.table(&k::SERVER);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    ServerSettings {
        workers: server.count(&k::WORKERS).and_then(|n| usize::try_from(n).ok()).unwrap_or_else(cores),
        io_uring: server.flag(&k::IO_URING),
        drain_timeout: server.duration(&k::DRAIN_TIMEOUT).unwrap_or(defaults::DRAIN_TIMEOUT),
        pid_file: server.text(&k::PID_FILE).map(|path| root.cx.path(path)),
        plugin_stack: server.size(&k::PLUGIN_STACK).and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        cache_dir: match server.text(&k::CACHE_DIR) {
            Some("off") => None,
            Some(path) => Some(root.cx.path(path)),
            None => user_cache(),
        },
        log_level: log_level(root),
        header_timeout: server.duration(&k::HEADER_TIMEOUT).unwrap_or(defaults::HEADER_TIMEOUT),
        keepalive_timeout: server.duration(&k::KEEPALIVE_TIMEOUT).unwrap_or(defaults::KEEPALIVE_TIMEOUT),
        max_connections: cap(&server, &k::MAX_CONNECTIONS),
        max_client_connections: cap(&server, &k::MAX_CLIENT_CONNECTIONS),
        max_head: server.size(&k::MAX_HEAD).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
        max_streams: server.count(&k::MAX_STREAMS).and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        server_header: server_header(&server),
        max_line: server.size(&k::MAX_LINE).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
        body_timeout: server.duration(&k::BODY_TIMEOUT).unwrap_or(defaults::BODY_TIMEOUT),
        send_timeout: server.duration(&k::SEND_TIMEOUT_CLIENT).unwrap_or(defaults::SEND_TIMEOUT),
        keepalive_requests: server.count(&k::KEEPALIVE_REQUESTS).unwrap_or(defaults::KEEPALIVE_REQUESTS),
        keepalive_time: server.duration(&k::KEEPALIVE_TIME).unwrap_or(defaults::KEEPALIVE_TIME),
    }
}

/// A number where 0 is no limit.
fn cap(table: &Reader<'_>, key: &Key) -> Option<u32> {
    table.count(key).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

fn server_header(server: &Reader<'_>) -> Option<http::HeaderValue> {
    let text = server.text(&k::SERVER_HEADER).filter(|text| *text != "off")?;
    let value = http::HeaderValue::from_str(text).ok();
    if let (None, Some(place)) = (&value, server.placed(&k::SERVER_HEADER)) {
        server.cx.problem(place.at, &place.path, "a header's value has no line ends or control characters");
    }
    value
}

/// Where a program of this user keeps what it can make anew; none without a home. The XDG
/// specification has relative values ignored.
pub fn user_cache() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(base.join("tidegate"))
}

fn log_level(root: &Reader<'_>) -> String {
    let log = root.table(&k::LOG);
    let level = log.text(&k::LEVEL).unwrap_or(defaults::LOG_LEVEL);
    if let (Err(e), Some(text)) = (tracing_subscriber::EnvFilter::try_new(level), log.placed(&k::LEVEL)) {
        let hint = "such as \"info\" or \"info,tidegate=debug\"";
        root.cx.hinted(text.at, &text.path, format!("\"{level}\" is not a log filter: {e}"), hint);
    }
    level.to_owned()
}

/// `[admin]`.
pub(super) fn admin(root: &Reader<'_>) -> Option<Admin> {
    let table = root.table(&k::ADMIN);
    let allow = ranges(&table, &k::ADMIN_ALLOW);
    if let Some(empty) = table.own(&k::ADMIN_ALLOW).filter(|list| list.node.is_empty_list()) {
        root.cx.hinted(empty.at(), &empty.path, "an empty list would let nobody in", "leave it out to let all in");
    }
    Some(Admin { address: table.text(&k::ADMIN_ADDRESS)?.parse().ok()?, allow, revoke: table.flag(&k::ADMIN_REVOKE) })
}

/// `log.debug_clients`.
pub(super) fn debug_clients(root: &Reader<'_>) -> Vec<Cidr> {
    ranges(&root.table(&k::LOG), &k::DEBUG_CLIENTS)
}

/// The addresses and ranges of a list.
fn ranges(table: &Reader<'_>, key: &Key) -> Vec<Cidr> {
    let mut ranges = Vec::new();
    for text in table.own_texts(key) {
        match Cidr::parse(text.text) {
            Ok(range) => ranges.push(range),
            Err(error) => {
                let message = format!("\"{}\" {error}", text.text);
                table.cx.hinted(text.at, &text.path, message, "such as \"10.0.0.0/8\" or \"127.0.0.1\"");
            }
        }
    }
    ranges
}

/// `[[listeners]]`.
pub(super) fn listeners(root: &Reader<'_>) -> Vec<Listener> {
    let mut seen: HashMap<SocketAddr, usize> = HashMap::new();
    let tables = root.tables(&k::LISTENERS);
    if tables.is_empty() {
        none(root.cx, "listeners", "add [[listeners]] with address = \"127.0.0.1:8080\"");
    }
    let mut listeners = Vec::new();
    for table in tables {
        let Some(text) = table.placed(&k::LISTEN_ADDRESS) else { continue };
        let Ok(address) = text.text.parse::<SocketAddr>() else { continue };
        // Port 0 gives each its own.
        if let Some(first) = seen.insert(address, text.at).filter(|_| address.port() != 0) {
            let line = root.cx.position(first).0;
            root.cx.problem(text.at, &text.path, format!("{address} is listened on already, at line {line}"));
        }
        let backlog = table.count(&k::BACKLOG).and_then(|n| u32::try_from(n).ok());
        let protocols = tls::protocols(&table);
        listeners.push(Listener {
            address,
            backlog: backlog.unwrap_or_default(),
            congestion_control: tcp::congestion_control(&table),
            proxy_protocol: proxy_protocol(&table),
            tls: None,
            protocols,
            http3: tls::http3(&table),
            streams: None,
            is_streams: false,
        });
    }
    listeners
}

/// `listeners.proxy_protocol`.
fn proxy_protocol(table: &Reader<'_>) -> Option<Arc<ProxyProtocol>> {
    let item = table.own(&k::PROXY_PROTOCOL).filter(|item| !matches!(item.node.value, Value::Flag(false)))?;
    let own = table.table(&k::PROXY_PROTOCOL);
    let list = own.own(&k::PROXY_FROM);
    if let Some(empty) = list.as_ref().filter(|list| list.node.is_empty_list()) {
        let hint = "`proxy_protocol = true` believes everybody";
        own.cx.hinted(empty.at(), &empty.path, "an empty list would let nobody in", hint);
    }
    let everybody = list.is_none() || !matches!(item.node.value, Value::Table(_));
    Some(Arc::new(ProxyProtocol { from: (!everybody).then(|| ranges(&own, &k::PROXY_FROM)) }))
}

/// A list of tables that may not be empty.
pub(super) fn none(cx: &Context, what: &str, hint: &str) {
    cx.hinted(0, what, format!("no {what}"), hint);
}
