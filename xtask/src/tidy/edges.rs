//! Which module of the host may use which: the picture in DESIGN.md section 7 and
//! ARCHITECTURE.md as a table. A new edge is a decision; it is made here, with its reason.

use std::collections::BTreeSet;

use anyhow::Result;

use super::source::{code, is_test_file, without_tests};
use crate::repository;

/// What every module may use, those in [`STRICT`] excepted.
const COMMON: &[&str] = &["config", "error", "observe"];

/// Modules that use what their line says and not even [`COMMON`].
const STRICT: &[&str] = &[
    "hook",
    "plugin",
    "main",
    "stock",
    "message",
    "http1",
    "http3",
    "stream",
    "socket",
    "duplex",
    "proxy_protocol",
    "tls",
    "ca",
    "cohort",
];

/// A module, and what it may use. In the order that data flows.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["import", "kit", "server", "plugin"]),
    // Cases become requests as hooks see them, and are asked as the proxy asks.
    ("kit", &["hook", "kv", "message", "plugin", "proxy", "tls"]),
    // Which headers are the proxy's own, which types are usual, a server to compare with, and TLS to ask it over.
    ("import", &["content", "hook", "server", "tls"]),
    (
        "server",
        &[
            "admin",
            "ca",
            "cohort",
            "downstream",
            "hook",
            "kv",
            "limit",
            "listener",
            "plugin",
            "proxy",
            "snapshot",
            "stock",
            "streams",
            "tls",
            "tunnel",
            "upstream",
        ],
    ),
    // Tunnels are closed there by the names of their grants.
    ("admin", &["hook", "listener", "plugin", "proxy", "server", "tunnel", "upstream"]),
    ("snapshot", &["hook", "http1", "kv", "limit", "tls", "upstream"]),
    ("listener", &["downstream", "limit", "proxy", "snapshot", "socket", "streams", "tls"]),
    (
        "downstream",
        &[
            "body",
            "duplex",
            "http1",
            "http3",
            "listener",
            "message",
            "proxy",
            "proxy_protocol",
            "snapshot",
            "socket",
            "stream",
            "streams",
            "tls",
            "tunnel",
        ],
    ),
    // What comes before HTTP: its variables are resolved by the proxy, whose tunnels and numbers
    // its connections share.
    ("streams", &["hook", "limit", "message", "proxy", "proxy_protocol", "socket", "tls", "tunnel", "upstream"]),
    (
        "proxy",
        &[
            "body",
            // What challenges of an authority are answered with.
            "ca",
            "cohort",
            "content",
            "hook",
            "http1",
            "limit",
            "message",
            "proxy_protocol",
            "snapshot",
            "socket",
            "tls",
            "tunnel",
            "upstream",
        ],
    ),
    // Who goes on together: it knows neither requests nor workers.
    ("cohort", &[]),
    // A source of bodies, like upstream.
    ("content", &["body", "http1", "message"]),
    ("limit", &["hook"]),
    // What plugins keep; a Redis is connected to with the TLS of peers.
    ("kv", &["hook", "tls"]),
    // Its peers are what hook `balancer` chooses from.
    // Keys of hashes and of sticky sessions are texts with variables.
    ("upstream", &["body", "duplex", "hook", "http1", "message", "proxy_protocol", "socket", "stream", "tls"]),
    ("body", &["http1", "message"]),
    ("tunnel", &["hook", "socket", "upstream"]),
    ("plugin", &["hook", "message"]),
    ("hook", &["message", "proxy_protocol", "tls"]),
    ("http1", &["message"]),
    // Bytes, frames and field sections of QUIC's streams.
    ("http3", &[]),
    ("message", &[]),
    ("stock", &[]),
    ("stream", &[]),
    // Bytes and addresses, without any socket.
    ("proxy_protocol", &[]),
    // A stream of HTTP/2 is a side of a tunnel as a socket is.
    ("socket", &["duplex"]),
    ("duplex", &["http3"]),
    ("tls", &[]),
    // What authorities issue and say is what is served and stapled.
    ("ca", &["tls"]),
    // A record holds the places that its exchange has among what is open.
    ("observe", &["body", "hook", "limit", "message"]),
    ("error", &["hook"]),
    // Whether the system has what a key names is asked where the key is read, as files are.
    ("config", &["ca", "hook", "proxy_protocol", "socket", "tls"]),
];

/// The one module that may name the engine.
const ENGINE: (&str, &str) = ("plugin", "wasmtime");

/// One line for each edge that is not in the table, and for each place outside of
/// [`ENGINE`] that names it.
pub(super) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in repository::files(&[".rs"])? {
        let Some(place) = file.strip_prefix("host/src/") else { continue };
        if !is_test_file(&file) {
            problems.extend(judge(place, &repository::read(&file)?));
        }
    }
    Ok(problems)
}

fn judge(place: &str, text: &str) -> Vec<String> {
    let path = module_path(place);
    let Some(module) = path.first().copied() else {
        // lib.rs says which modules there are; it is above them all.
        return Vec::new();
    };
    let lines: Vec<&str> = without_tests(text).into_iter().map(code).collect();
    let mut text = lines.join("\n");
    if module == "main" {
        // To the program the library is another crate.
        text = text.replace("tidegate::", "crate::");
    }
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
        return vec![format!("host/src/{place}: module `{module}` is not in the table of xtask/src/tidy/edges.rs")];
    };
    let common: &[&str] = if STRICT.contains(&module) { &[] } else { COMMON };
    let used = used(&text, path.len());
    let wrong = used.into_iter().filter(|to| *to != module && !allowed.contains(to) && !common.contains(to));
    let mut problems: Vec<String> = wrong
        .map(|to| format!("host/src/{place}: `{module}` must not use `{to}` (xtask/src/tidy/edges.rs has the table)"))
        .collect();
    let (home, engine) = ENGINE;
    if module != home && words(&text).any(|word| word.starts_with(engine)) {
        problems.push(format!("host/src/{place}: only `{home}` may name {engine}"));
    }
    problems
}

/// `proxy/forward/mod.rs` is `[proxy, forward]`; `lib.rs` is nothing.
fn module_path(place: &str) -> Vec<&str> {
    let place = place.strip_suffix(".rs").unwrap_or(place);
    let mut path: Vec<&str> = place.split('/').collect();
    if matches!(path.last(), Some(&("mod" | "lib"))) {
        path.pop();
    }
    path
}

/// The top-level modules that a text names, by `crate::` or by as many `super::` as lead to
/// the top.
fn used(text: &str, depth: usize) -> BTreeSet<&str> {
    let top = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for root in ["crate::", top.as_str()] {
        for (at, _) in text.match_indices(root) {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = text.get(at + root.len()..).unwrap_or_default();
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads(group)),
                None => found.extend(word(rest)),
            }
        }
    }
    // `crate::Name` is what lib.rs exports itself; `crate::name!` would be a macro.
    found.retain(|name| *name != "self" && *name != "super" && name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}

/// The first words of a `use` group's members, up to its closing brace.
fn heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(group.get(start..at).and_then(word));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(group.get(start..at).and_then(word));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<&str> {
    words(text.trim_start()).next().filter(|word| !word.is_empty())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_every_form_of_path() {
        let text = "use crate::{config::Config, hook::{self, Plugin}, error};\nlet a = crate::tunnel::open();\n\
                    use super::super::upstream::Peer;\nuse super::exchange::Exchange;\nuse crate::Name;\n";
        let names: Vec<_> = used(text, 2).into_iter().collect();
        assert_eq!(names, ["config", "error", "hook", "tunnel", "upstream"]);
    }

    #[test]
    fn the_forbidden_edges_of_the_design_are_found() {
        for (place, text) in [
            ("plugin/load.rs", "use crate::proxy::Proxy;"),
            ("plugin/load.rs", "use crate::config::Config;"),
            ("hook/chain.rs", "use crate::error::Error;"),
            ("upstream/pool.rs", "use crate::plugin::Runtime;"),
            ("tunnel/run.rs", "use crate::server::Server;"),
            ("proxy/forward/plain.rs", "use super::super::super::server::Server;"),
            ("main.rs", "tidegate::server::Server::start()"),
        ] {
            assert_eq!(judge(place, text).len(), 1, "{place}: {text}");
        }
    }

    #[test]
    fn allowed_edges_comments_and_tests_are_no_problem() {
        let text = "//! [`crate::server`]\nuse crate::hook::Hook; // not crate::server\n#[cfg(test)]\nmod tests {\n    use crate::server::Server;\n}\n";
        assert_eq!(judge("proxy/ask.rs", text), Vec::<String>::new());
    }

    #[test]
    fn only_the_plugin_module_names_the_engine() {
        assert_eq!(judge("proxy/ask.rs", "use wasmtime::Engine;").len(), 1);
        assert_eq!(judge("proxy/ask.rs", "let a: wasmtime_wasi::Ctx;").len(), 1);
        assert!(judge("plugin/engine.rs", "use wasmtime::Engine;").is_empty());
    }

    #[test]
    fn an_unknown_module_must_be_put_into_the_table() {
        assert_eq!(judge("another/mod.rs", "").len(), 1);
        assert!(judge("lib.rs", "pub mod limit;").is_empty());
    }

    #[test]
    fn every_module_of_the_table_is_allowed_by_name() {
        let names: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), ALLOWED.len());
        for name in ALLOWED.iter().flat_map(|(_, to)| to.iter()).chain(COMMON).chain(STRICT) {
            assert!(names.contains(name), "{name}");
        }
    }
}
