//! What keeps an upstream and its peers from too much.

use crate::config::defaults;
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::{Admission, Breaker};

fn count(table: &Reader<'_>, key: &Key) -> Option<u32> {
    table.count(key).and_then(|n| u32::try_from(n).ok())
}

/// `breaker`
pub(super) fn breaker(upstream: &Reader<'_>) -> Option<Breaker> {
    upstream.own(&k::BREAKER)?;
    let table = upstream.table(&k::BREAKER);
    Some(Breaker {
        failures: count(&table, &k::BREAKER_FAILURES).unwrap_or_default(),
        requests: count(&table, &k::BREAKER_REQUESTS).unwrap_or_default(),
        window: table.duration(&k::BREAKER_WINDOW).unwrap_or(defaults::BREAKER_WINDOW),
        open: table.duration(&k::BREAKER_OPEN).unwrap_or(defaults::BREAKER_OPEN),
    })
}

/// `admission`
pub(super) fn admission(upstream: &Reader<'_>) -> Option<Admission> {
    let item = upstream.own(&k::ADMISSION)?;
    let table = upstream.table(&k::ADMISSION);
    let (handshakes, requests) = (&k::ADMISSION_HANDSHAKES, &k::ADMISSION_REQUESTS);
    if table.own(handshakes).is_none() && table.own(requests).is_none() && item.node.table().is_some() {
        table.cx.hinted(item.at(), &item.path, "limits nothing", "`handshakes` or `requests`, in { handshakes = 64 }");
    }
    Some(Admission {
        handshakes: count(&table, handshakes),
        requests: count(&table, requests),
        queue: count(&table, &k::ADMISSION_QUEUE).unwrap_or_default(),
        wait: table.duration(&k::ADMISSION_WAIT).unwrap_or(defaults::ADMISSION_WAIT),
        retry_after: table.duration(&k::RETRY_AFTER).unwrap_or(defaults::RETRY_AFTER),
    })
}
