//! What stands in an `upstream` block.

use super::text::Values;
use super::{Import, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};
use crate::import::units;

/// The keys of a group.
pub(super) fn group(import: &mut Import<'_>, block: &Directive) -> Keys {
    let mut keys = Keys::default();
    let mut peers = Vec::new();
    for directive in block.inner() {
        match directive.name() {
            "server" => peers.extend(peer(import, directive)),
            "ip_hash" => keys.set("policy", Value::text("ip-hash")),
            "least_conn" => keys.set("policy", Value::text("least-conn")),
            "random" => random(import, directive, &mut keys),
            "least_time" => least_time(import, directive, &mut keys),
            "hash" => {
                keys.set("policy", Value::text("hash"));
                let key = top::template(import, directive, directive.arg(0));
                keys.set("hash.key", Value::text(key));
                if directive.arg(1) == "consistent" {
                    keys.set("hash.consistent", Value::Flag(true));
                }
            }
            "keepalive" => match directive.arg(0).parse() {
                Ok(count) => keys.set("keepalive", Value::Count(count)),
                Err(_) => import.report.broken(directive.name.span.problem("keepalive", "is not a number", None)),
            },
            "keepalive_requests" => {
                if let Ok(count) = directive.arg(0).parse() {
                    keys.set("keepalive_requests", Value::Count(count));
                }
            }
            "keepalive_time" | "keepalive_timeout" => {
                if let Some(value) = units::time_value(directive.arg(0)) {
                    keys.set(directive.name(), value);
                }
            }
            "sticky" => sticky(import, directive, &mut keys),
            _ => {}
        }
    }
    if peers.is_empty() {
        import.report.lacks(block, "has no `server`", "add one");
    }
    keys.set("peers", Value::List(peers));
    keys
}

/// One peer: its address alone, or a table.
fn peer(import: &mut Import<'_>, directive: &Directive) -> Option<Value> {
    let mut keys = Keys::default();
    let address = directive.arg(0);
    let mut has_service = false;
    for word in directive.texts().skip(1) {
        match word.split_once('=') {
            Some((name @ ("weight" | "max_fails" | "max_conns"), number)) => match number.parse() {
                Ok(count) => keys.set(name, Value::Count(count)),
                Err(_) => {
                    import.report.broken(directive.name.span.problem("server", format!("`{word}` has no number"), None))
                }
            },
            Some((name @ ("fail_timeout" | "slow_start"), time)) => match units::time_value(time) {
                Some(value) => keys.set(name, value),
                None => {
                    import.report.broken(directive.name.span.problem("server", format!("`{word}` has no time"), None))
                }
            },
            Some(("route", route)) => keys.set("route", Value::text(route)),
            Some(("service", service)) => {
                has_service = true;
                keys.set("service", Value::text(service));
            }
            _ => match word {
                "backup" | "down" | "drain" => keys.set(word, Value::Flag(true)),
                // Names are followed without it.
                "resolve" => {}
                _ => import.report.lacks(directive, format!("`{word}` has no equal"), "leave it out"),
            },
        }
    }
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = match address.starts_with("unix:") || has_port || has_service {
        true => address.to_owned(),
        false => format!("{address}:80"),
    };
    if keys.is_empty() {
        return Some(Value::text(address));
    }
    let mut table = vec![("address".to_owned(), Value::text(address))];
    table.extend(keys.0);
    Some(Value::Table(table))
}

fn random(import: &mut Import<'_>, directive: &Directive, keys: &mut Keys) {
    let words: Vec<&str> = directive.texts().collect();
    match words.as_slice() {
        [] => keys.set("policy", Value::text("random")),
        ["two"] | ["two", "least_conn"] => keys.set("policy", Value::text("random-two")),
        _ => import.report.lacks(
            directive,
            "of two by chance, only the less busy one is chosen",
            "write `random two least_conn`",
        ),
    }
}

fn least_time(import: &mut Import<'_>, directive: &Directive, keys: &mut Keys) {
    keys.set("policy", Value::text("least-time"));
    match (directive.arg(0), directive.args.len()) {
        ("header", 1) => {}
        ("last_byte", 1) => keys.set("least_time", Value::text("last-byte")),
        _ => {
            import.report.lacks(directive, "goes by the header or by the last byte alone", "write `least_time header`")
        }
    }
}

fn sticky(import: &mut Import<'_>, directive: &Directive, keys: &mut Keys) {
    let mut words = directive.texts();
    match words.next() {
        Some("route") => {
            let texts: Vec<String> = words.map(str::to_owned).collect();
            let texts: Vec<String> = texts.iter().map(|text| top::template(import, directive, text)).collect();
            keys.set("sticky.route", Value::texts(texts));
        }
        Some("learn") => {
            for word in words.map(str::to_owned).collect::<Vec<_>>() {
                match word.split_once('=') {
                    Some((name @ ("create" | "lookup"), text)) => {
                        // `$upstream_cookie_NAME` is known to sessions only.
                        let mut known = Values::default();
                        if let Some(cookie) = text.strip_prefix("$upstream_cookie_") {
                            known.set.insert(format!("upstream_cookie_{cookie}"), text.to_owned());
                        }
                        let text = import.template(directive, text, &known);
                        keys.push(&format!("sticky.{name}"), Value::text(text));
                    }
                    Some(("timeout", time)) => {
                        if let Some(value) = units::time_value(time) {
                            keys.set("sticky.timeout", value);
                        }
                    }
                    Some(("zone", _)) => {}
                    _ if word == "header" => {}
                    _ => import.report.lacks(directive, format!("`{word}` has no equal"), "leave it out"),
                }
            }
        }
        _ => {
            let instead = "import the rest with --lenient, and write sticky = { cookie = \"…\", secret = { from_env = \"…\" } } for the upstream";
            import.report.lacks(
                directive,
                "a cookie is made with a secret here, so that no client can choose its peer",
                instead,
            );
        }
    }
}

/// nginx Plus: `health_check` in a location, for the upstream of its `proxy_pass`.
pub(super) fn health(import: &mut Import<'_>, directive: &Directive) -> Keys {
    let mut keys = Keys::default();
    keys.set("health", Value::Table(Vec::new()));
    let mut table = Vec::new();
    for word in directive.texts() {
        match word.split_once('=') {
            Some((name @ ("interval" | "jitter"), time)) => {
                table.extend(units::time_value(time).map(|value| (name.to_owned(), value)))
            }
            Some((name @ ("fails" | "passes" | "port"), number)) => {
                table.extend(number.parse().ok().map(|count| (name.to_owned(), Value::Count(count))))
            }
            Some(("uri", path)) => table.push(("path".to_owned(), Value::text(path))),
            _ if word == "mandatory" => table.push(("mandatory".to_owned(), Value::Flag(true))),
            _ => import.report.lacks(
                directive,
                format!("`{word}` has no equal"),
                "write it as a key of the upstream's `health`",
            ),
        }
    }
    keys.set("health", Value::Table(table));
    keys
}
