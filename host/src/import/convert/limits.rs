//! `limit_req`, `limit_conn` and their zones.

use super::{Import, Route, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value, bare};
use crate::import::units;

/// The least memory of a zone.
const LEAST: u64 = 32 << 10;

/// nginx: `limit_req_zone`, `limit_conn_zone`.
pub(super) fn zone(import: &mut Import<'_>, directive: &Directive) {
    let (mut keys, mut name) = (Keys::default(), None);
    let key = top::template(import, directive, directive.arg(0));
    keys.set("key", Value::text(key));
    let (mut size, mut rate) = (None, None);
    for word in directive.texts().skip(1) {
        match word.split_once('=') {
            Some(("zone", zone)) => {
                let (zone, bytes) = zone.split_once(':').unwrap_or((zone, ""));
                name = Some(zone.to_owned());
                size = units::size(bytes).map(|bytes| bytes.max(LEAST));
            }
            Some(("rate", text)) => rate = Some(text.replace("r/", "/")),
            _ => import.report.lacks(directive, format!("`{word}` has no equal"), "leave it out"),
        }
    }
    let Some(name) = name else {
        return import.report.broken(directive.name.span.problem(directive.name(), "has no `zone=`", None));
    };
    if let Some(rate) = rate {
        keys.set("rate", Value::text(rate));
    }
    if let Some(size) = size {
        keys.set("size", units::shown_size(size));
    }
    let section =
        top::commented(import, Section { keys, ..Section::table(format!("limits.{}", bare(&name))) }, directive);
    import.zones.push(section);
}

/// nginx: `limit_req`.
pub(in crate::import) fn limit_req(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let mut rules = Vec::new();
    for directive in found {
        let mut keys = Keys::default();
        for word in directive.texts() {
            match word.split_once('=') {
                Some(("zone", zone)) => keys.set("zone", Value::text(zone)),
                Some((name @ ("burst" | "delay"), number)) => match number.parse() {
                    Ok(count) => keys.set(name, Value::Count(count)),
                    Err(_) => route.import.report.broken(directive.name.span.problem(
                        "limit_req",
                        format!("`{word}` has no number"),
                        None,
                    )),
                },
                _ if word == "nodelay" => keys.set("nodelay", Value::Flag(true)),
                _ => route.import.report.lacks(directive, format!("`{word}` has no equal"), "leave it out"),
            }
        }
        rules.push(Value::Table(keys.0));
    }
    route.keys.set("limits.rate", Value::List(rules));
}

/// nginx: `limit_conn`.
pub(in crate::import) fn limit_conn(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let rules = open(route.import, found);
    route.keys.set("limits.concurrent", Value::List(rules));
}

/// Zones and their numbers.
pub(super) fn open(import: &mut Import<'_>, found: &[&Directive]) -> Vec<Value> {
    let mut rules = Vec::new();
    for directive in found {
        let Ok(total) = directive.arg(1).parse() else {
            import.report.broken(directive.name.span.problem("limit_conn", "needs a zone and a number", None));
            continue;
        };
        rules.push(Value::Table(vec![
            ("zone".to_owned(), Value::text(directive.arg(0))),
            ("total".to_owned(), Value::Count(total)),
        ]));
    }
    rules
}

fn level(found: &[&Directive]) -> Value {
    Value::text(match found.last().map_or("", |directive| directive.arg(0)) {
        "info" | "notice" => "info",
        "warn" => "warn",
        _ => "error",
    })
}

/// nginx: `limit_req_log_level`.
pub(in crate::import) fn rate_level(route: &mut Route<'_, '_>, found: &[&Directive]) {
    route.keys.set("limits.rate_log_level", level(found));
}

/// nginx: `limit_conn_log_level`.
pub(in crate::import) fn open_level(route: &mut Route<'_, '_>, found: &[&Directive]) {
    route.keys.set("limits.concurrent_log_level", level(found));
}
