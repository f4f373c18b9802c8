//! Where the peers of upstreams come from, in the operator's pages.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::proxy::Proxy;

/// Put the names of each upstream into what `/status` says of it.
pub(super) fn status(proxy: &Proxy, upstreams: &mut Map<String, Value>) {
    for (name, upstream) in &proxy.snapshot.load().upstreams {
        let sources = upstream.sources();
        if sources.is_empty() {
            continue;
        }
        let sources = sources.into_iter().map(|source| {
            json!({
                "question": source.question,
                "resolve": source.resolve,
                "addresses": source.addresses,
                "resolved_at": source.resolved_at.map(shown),
                "next_in_seconds": source.next_in.map(|wait| wait.as_secs_f64()),
                "last_error": source.error.map(|(what, at)| json!({ "message": what, "at": shown(at) })),
                "answers": source.answers,
                "failures": source.failures,
            })
        });
        // One whose names have no address yet has no peers to be counted.
        let entry = upstreams.entry(name.to_string()).or_insert_with(|| json!({ "peers": {} }));
        if let Value::Object(entry) = entry {
            entry.insert("names".to_owned(), Value::Array(sources.collect()));
        }
    }
}

/// What became of questions, by name, as Prometheus text; nothing where there are no names.
pub(super) fn render(proxy: &Proxy, out: &mut String) {
    // Upstreams that have the same name share what is known of it.
    let snapshot = proxy.snapshot.load();
    let sources = snapshot.upstreams.values().flat_map(|upstream| upstream.sources());
    let all: BTreeMap<String, _> = sources.map(|source| (source.question.clone(), source)).collect();
    if all.is_empty() {
        return;
    }
    let mut numbers = |name: &str, help: &str, kind: &str, number: &dyn Fn(&_) -> u64| {
        let _infallible = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (question, source) in &all {
            // Letters, digits, dots, hyphens and underscores: nothing to be escaped.
            let _infallible = writeln!(out, "{name}{{name=\"{question}\"}} {}", number(source));
        }
    };
    numbers("tidegate_name_answers_total", "Answers to questions for a name of peers.", "counter", &|s| s.answers);
    numbers("tidegate_name_failures_total", "Questions without an answer, or not all of one.", "counter", &|s| {
        s.failures
    });
    numbers("tidegate_name_addresses", "Addresses that a name has now.", "gauge", &|s| s.addresses.len() as u64);
}

/// RFC 3339, in UTC.
fn shown(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}
