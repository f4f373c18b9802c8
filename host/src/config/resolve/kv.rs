//! `[kv.*]` and `[secrets]`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::upstream;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::{Kv, KvAddress, KvMemory, KvPlace, KvRedis, Services};
use crate::config::{Secret, defaults, json};

/// What plugins can be granted.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) stores: Vec<Kv>,
    /// All names of stores, those that are wrong among them: no reason for a second problem.
    pub(super) named: Vec<Arc<str>>,
    pub(super) secrets: HashMap<Arc<str>, Option<Secret>>,
}

impl Kept {
    /// Whether one of the stores that are granted is a Redis.
    pub(super) fn has_redis(&self, services: &Services) -> bool {
        let places = services.kv.iter().filter_map(|granted| self.stores.get(granted.store));
        places.map(|store| &store.place).any(|place| matches!(place, KvPlace::Redis(_)))
    }
}

/// Read both tables.
pub(super) fn read(root: &Reader<'_>) -> Kept {
    let mut kept = Kept::default();
    for named in root.named(&k::KV) {
        let name: Arc<str> = named.name.into();
        if named.name.is_empty() || named.name.contains('/') {
            let message = format!("\"{name}\" is not a store's name");
            root.cx.hinted(named.name_at, &named.value.path, message, "without `/`, which ends it in a grant");
        }
        let table = &named.value;
        let max_value = size(table.size(&k::KV_MAX_VALUE));
        if let Some(place) = place(table) {
            kept.stores.push(Kv { name: Arc::clone(&name), max_value, place });
        }
        kept.named.push(name);
    }
    if let Some(item) = root.own(&k::SECRETS)
        && let Some(table) = item.node.table()
    {
        for entry in &table.entries {
            let path = crate::config::context::join(&item.path, &entry.key);
            let secret = json::secret(root.cx, &entry.node, &path).map(Secret::from);
            kept.secrets.insert(entry.key.as_str().into(), secret);
        }
    }
    kept
}

fn size(read: Option<u64>) -> usize {
    usize::try_from(read.unwrap_or_default()).unwrap_or(usize::MAX)
}

fn place(table: &Reader<'_>) -> Option<KvPlace> {
    let Some(item) = table.own(&k::KV_URL) else {
        for key in [&k::KV_TIMEOUT, &k::KV_CONNECT_TIMEOUT, &k::KV_TLS] {
            idle(table, key, "is about a Redis, which `url` names");
        }
        return Some(KvPlace::Memory(KvMemory {
            max_keys: size(table.count(&k::KV_MAX_KEYS)),
            max_bytes: size(table.size(&k::KV_MAX_BYTES)),
            refuse: table.text(&k::KV_FULL) == Some("refuse"),
        }));
    };
    for key in [&k::KV_MAX_KEYS, &k::KV_MAX_BYTES, &k::KV_FULL] {
        idle(table, key, "is about a store in memory, and this one has `url`");
    }
    let url = json::secret(table.cx, item.node, &item.path)?;
    redis(table, &url, &Text { text: "", at: item.at(), path: item.path }).map(KvPlace::Redis)
}

/// A key that means nothing here.
fn idle(table: &Reader<'_>, key: &crate::config::key::Key, why: &str) {
    if let Some(item) = table.own(key) {
        table.cx.problem(item.at(), &item.path, why);
    }
}

/// A Redis by its URL, which no message shows: it may have a password in it.
fn redis(table: &Reader<'_>, url: &str, place: &Text<'_>) -> Option<KvRedis> {
    const FORMS: &str = "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://… or unix:PATH";
    let (secure, plain) = match url.strip_prefix("rediss://") {
        Some(rest) => (true, format!("redis://{rest}")),
        None => (false, url.to_owned()),
    };
    let known = ["redis://", "unix:"].iter().any(|scheme| plain.starts_with(scheme));
    let Some(info) = known.then(|| plain.into_connection_info().ok()).flatten() else {
        table.cx.hinted(place.at, &place.path, "is not the URL of a Redis", FORMS);
        return None;
    };
    if !secure {
        idle(table, &k::KV_TLS, "is of no use without rediss:// in `url`");
    }
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let tls = match secure {
                true => Some(upstream::peer_tls(table, &k::KV_TLS, &format!("{host}:{port}"), place)?),
                false => None,
            };
            KvAddress::Tcp { host: host.clone(), port: *port, tls }
        }
        ConnectionAddr::Unix(path) => KvAddress::Unix(path.clone()),
        _ => {
            table.cx.hinted(place.at, &place.path, "is not the URL of a Redis", FORMS);
            return None;
        }
    };
    if address == KvAddress::Unix(PathBuf::new()) {
        table.cx.hinted(place.at, &place.path, "has no path", FORMS);
        return None;
    }
    let settings = info.redis_settings();
    Some(KvRedis {
        address,
        database: settings.db(),
        user: settings.username().map(str::to_owned),
        password: Secret::from(settings.password().unwrap_or_default()),
        timeout: table.duration(&k::KV_TIMEOUT).unwrap_or(defaults::KV_TIMEOUT),
        connect_timeout: table.duration(&k::KV_CONNECT_TIMEOUT).unwrap_or(defaults::KV_CONNECT_TIMEOUT),
    })
}
