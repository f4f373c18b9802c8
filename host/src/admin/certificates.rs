//! Certificates that are served, and those that are ordered, in the operator's pages.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::observe::{Label, header};
use crate::proxy::Proxy;

/// What is served now of one file.
struct Served {
    /// The names that it is for.
    names: Vec<String>,
    /// When it expires, seconds since 1970; none where nothing is served yet.
    expires: Option<i64>,
    /// Whether a response is stapled.
    stapled: bool,
}

/// What is served now, by file.
fn served(proxy: &Proxy) -> BTreeMap<String, Served> {
    let mut found = BTreeMap::new();
    for terms in proxy.served.load().iter().flat_map(|served| served.terms()) {
        for identity in terms.identities().iter() {
            let served = identity.served();
            let made = Served {
                names: served.map(|served| served.leaf.names.clone()).unwrap_or_default(),
                expires: served.map(|served| served.leaf.not_after),
                stapled: served.is_some_and(|served| served.is_stapled()),
            };
            found.insert(identity.files.certificate.display().to_string(), made);
        }
    }
    found
}

/// Those that are served, with what becomes of those that are ordered.
pub(super) fn status(proxy: &Proxy) -> Value {
    let served = served(proxy).into_iter().map(|(file, Served { names, expires, stapled })| {
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        json!({ "file": file, "names": names, "expires": expires.map(|seconds| shown(time(seconds))), "stapled": stapled })
    });
    let ordered = proxy.acme.outlooks().into_iter().map(|outlook| {
        json!({
            "names": outlook.names,
            "next_order": shown(outlook.next),
            "failures": outlook.failures,
            "last_error": outlook.error,
        })
    });
    json!({ "served": served.collect::<Vec<_>>(), "ordered": ordered.collect::<Vec<_>>() })
}

/// Prometheus text; nothing where there are no certificates.
pub(super) fn metrics(proxy: &Proxy, out: &mut String) {
    let served = served(proxy);
    if served.is_empty() {
        return;
    }
    let name = "tidegate_certificate_expiry_seconds";
    header(
        out,
        name,
        "When a certificate that is served expires, seconds since 1970; 0 where there is none yet.",
        "gauge",
    );
    for (file, served) in &served {
        let names = served.names.join(",");
        let (file, names, expires) = (Label(file), Label(&names), served.expires.unwrap_or_default());
        let _infallible = writeln!(out, "{name}{{file=\"{file}\",names=\"{names}\"}} {expires}");
    }
    let (issued, failed) = proxy.acme.counts();
    header(out, "tidegate_acme_orders_total", "Orders of certificates that ended, by what came of them.", "counter");
    for (result, count) in [("issued", issued), ("failed", failed)] {
        let _infallible = writeln!(out, "tidegate_acme_orders_total{{result=\"{result}\"}} {count}");
    }
}

/// RFC 3339, in UTC.
fn shown(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}
