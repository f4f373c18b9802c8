//! `proxy_pass` and what goes with it.

use super::text::{Groups, Values};
use super::upstreams::Target;
use super::{Import, Route, dial};
use crate::hook::is_hosts_own;
use crate::import::syntax::Directive;
use crate::import::toml::Value;
use crate::import::units;

/// What the guides recommend, and header-map sends unless it is told otherwise.
const RECOMMENDED: [(&str, &str); 4] = [
    ("Host", "$host"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
];
/// What nginx hides of an upstream's answer, and Tidegate too.
const HIDDEN: [&str; 8] = [
    "server",
    "x-pad",
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-expires",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "date",
];
/// The memory for an answer where `proxy_buffers` says nothing.
const BUFFERS: u64 = 64 << 10;
/// The largest that a buffer can be.
const MOST_BUFFER: u64 = 1 << 30;

/// Where a `proxy_pass` leads; none where that has no equal.
pub(super) fn target(import: &mut Import<'_>, directive: &Directive, values: &Values) -> Option<Target> {
    let text = import.template(directive, directive.arg(0), values);
    let (tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
        (false, rest)
    } else if let Some(rest) = text.strip_prefix("https://") {
        (true, rest)
    } else {
        let instead = "such as `http://127.0.0.1:8080`; a variable that `set` or a `map` with upstreams' names makes goes behind `http://`";
        import.report.lacks(directive, format!("`{}` is no fixed upstream", directive.arg(0)), instead);
        return None;
    };
    if rest.starts_with("unix:") {
        let (path, uri) = match rest.get(5..)?.split_once(':') {
            Some((path, uri)) => (path, uri),
            None => (rest.get(5..)?, ""),
        };
        return Some(Target { tls, authority: format!("unix:{path}"), uri: uri.to_owned(), choices: Vec::new() });
    }
    if let Some(choices) = choices(import, rest) {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, uri) = rest.split_at_checked(end)?;
        return Some(Target { tls, authority: authority.to_owned(), uri: uri.to_owned(), choices });
    }
    let end = rest.find(['/', '$', '?']).unwrap_or(rest.len());
    let (authority, uri) = rest.split_at_checked(end)?;
    if authority.is_empty()
        || (uri.starts_with('$')
            && !["$request_uri", "$uri", "$document_uri"].iter().any(|start| uri.starts_with(start)))
    {
        let instead = "write a fixed upstream, or a `map` whose values are names of `upstream` blocks";
        import.report.lacks(
            directive,
            format!("which upstream `{}` is depends on the request", directive.arg(0)),
            instead,
        );
        return None;
    }
    Some(Target { tls, authority: authority.to_owned(), uri: uri.to_owned(), choices: Vec::new() })
}

/// The upstreams that a map chooses among, where a target is such a variable and nothing else.
fn choices(import: &Import<'_>, rest: &str) -> Option<Vec<String>> {
    let end = rest.find('/').unwrap_or(rest.len());
    let name = rest.get(..end)?.strip_prefix('$')?;
    let name = name.trim_start_matches('{').trim_end_matches('}');
    let values = import.maps.values_of(name)?;
    let all = values.iter().all(|value| import.upstreams.is_named(value));
    (all && !values.is_empty()).then(|| values.into_iter().map(str::to_owned).collect())
}

/// Make a route one that passes requests to an upstream.
pub(super) fn pass(route: &mut Route<'_, '_>, directive: &Directive) {
    let values = route.values.clone();
    // `$1` in the path is a group of the location.
    let values = if route.is_regex() { Values { groups: Groups::Router, ..values } } else { values };
    let Some(target) = target(route.import, directive, &values) else { return };
    let dial = dial::options(route.import, &route.chain.clone(), &target);
    let upstream = route.import.upstreams.refer(directive, &target, dial);
    match target.choices.first() {
        Some(first) => {
            route.keys.set("upstream", Value::text(first.clone()));
            route.keys.set("upstream_by", Value::text(upstream));
        }
        None => route.keys.set("upstream", Value::text(upstream)),
    }
    uri(route, directive, &target.uri);
    headers(route, &target);
    route.target = Some(target);
}

/// The path that the upstream is asked for.
fn uri(route: &mut Route<'_, '_>, directive: &Directive, uri: &str) {
    const QUERY: &str = "$is_args$args";
    match uri {
        "" | "$request_uri" => return,
        "$uri$is_args$args" | "$document_uri$is_args$args" => {
            return route
                .import
                .report
                .differs(directive, "the path is sent as the client wrote it, not decoded and normalised");
        }
        _ => {}
    }
    if !uri.contains('$') {
        if uri.contains('?') {
            return route.import.report.lacks(directive, "the path has a query", "write a `rewrite … break` before it");
        }
        if route.is_regex() || route.is_named() {
            return route.import.report.broken(directive.name.span.problem(
                "proxy_pass",
                "has no path in a location without a prefix",
                None,
            ));
        }
        return route.keys.set("replace_prefix", Value::text(uri));
    }
    let (path, keeps) = match uri
        .strip_suffix(QUERY)
        .or_else(|| uri.strip_suffix("?$args"))
        .or_else(|| uri.strip_suffix("?$query_string"))
    {
        Some(path) => (path, true),
        None => (uri, false),
    };
    let path = path.replace("$request_uri", "$uri");
    let target = if keeps { path.clone() } else { format!("{path}?") };
    let groups_only = super::text::pieces(&path).iter().all(|piece| match piece {
        super::text::Piece::Text(_) => true,
        super::text::Piece::Variable(name) => name.chars().all(|c| c.is_ascii_digit()) || route.captures(name),
    });
    if route.is_regex() && groups_only {
        return route.keys.set("rewrite", Value::text(target));
    }
    if route.is_named() {
        return route.import.report.lacks(
            directive,
            "a location that is found by name changes no path",
            "write the path into the place that leads here",
        );
    }
    let (pattern, any_case) = route.regex();
    let pattern = if any_case { format!("(?i){pattern}") } else { pattern };
    let rule = [("match", pattern.as_str()), ("to", &target), ("flag", "break")];
    let rule = rule.into_iter().map(|(key, value)| (key.to_owned(), Value::text(value))).collect();
    route.keys.push("rewrites", Value::Table(rule));
}

/// What the upstream is told, and whether it may be asked for WebSockets.
fn headers(route: &mut Route<'_, '_>, target: &Target) {
    let (mut rules, mut switches) = (Vec::new(), false);
    let found = route.chain.in_force(&["proxy_set_header"]);
    let values = route.values_for_texts();
    for header in found {
        let (name, value) = (header.arg(0), header.arg(1));
        if name.eq_ignore_ascii_case("upgrade") {
            switches |= !value.is_empty();
        }
        let is_same =
            value.strip_prefix("$http_").is_some_and(|same| same.eq_ignore_ascii_case(&name.replace('-', "_")));
        if name.eq_ignore_ascii_case("connection")
            || name.eq_ignore_ascii_case("upgrade")
            || (is_same && !name.eq_ignore_ascii_case("host"))
        {
            continue;
        }
        if is_hosts_own(name) {
            if !value.is_empty() {
                route.import.report.lacks(
                    header,
                    format!("`{name}` belongs to the connection and is the proxy's own"),
                    "leave it out",
                );
            }
            continue;
        }
        let value = route.import.template(header, value, &values).replace("$proxy_host", &target.host());
        rules.push((name.to_owned(), value));
    }
    if !rules.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        rules.insert(0, ("Host".to_owned(), target.host()));
    }
    let recommended = |rule: &(String, String)| {
        RECOMMENDED.iter().any(|(name, value)| name.eq_ignore_ascii_case(&rule.0) && *value == rule.1)
    };
    if rules.iter().filter(|rule| recommended(rule)).count() == RECOMMENDED.len() {
        rules.retain(|rule| !recommended(rule));
    } else {
        route.keys.set("default_headers", Value::Flag(false));
    }
    for (name, value) in rules {
        route.keys.put("set_headers", &name, &value);
    }
    if !switches {
        route.keys.set("upgrade", Value::List(Vec::new()));
    }
}

/// nginx: `proxy_redirect`.
pub(in crate::import) fn redirect(route: &mut Route<'_, '_>, found: &[&Directive]) {
    route.keys.set("rewrite_location", Value::Table(Vec::new()));
    for directive in found {
        match (directive.arg(0), directive.args.len()) {
            ("off", 1) => {}
            ("default", 1) => {
                let Some(target) = &route.target else { continue };
                let scheme = if target.tls { "https" } else { "http" };
                let replaced = matches!(route.keys.get("replace_prefix"), Some(Value::Text(_)));
                let ours = if replaced { route.prefix().to_owned() } else { "/".to_owned() };
                let theirs = if replaced { target.uri.clone() } else { "/".to_owned() };
                let from = format!("{scheme}://{}{theirs}", target.authority);
                route.keys.put("rewrite_location", &from, &ours);
            }
            (from, 2) => {
                let values = route.values_for_texts();
                let from = if from.starts_with('~') {
                    from.to_owned()
                } else {
                    route.import.template(directive, from, &values)
                };
                let grouped = Values { groups: Groups::Router, ..values };
                let to = route.import.template(directive, directive.arg(1), &grouped);
                route.keys.put("rewrite_location", &from, &to);
            }
            _ => route.import.report.broken(directive.name.span.problem(
                "proxy_redirect",
                "takes one or two arguments",
                None,
            )),
        }
    }
}

fn pairs(route: &mut Route<'_, '_>, found: &[&Directive], key: &str) {
    for directive in found.iter().filter(|directive| directive.arg(0) != "off") {
        let from = directive.arg(0);
        let values = Values { groups: Groups::Router, ..route.values_for_texts() };
        let to = route.import.template(directive, directive.arg(1), &values);
        route.keys.put(key, from, &to);
    }
}

/// nginx: `proxy_cookie_domain`.
pub(in crate::import) fn cookie_domain(route: &mut Route<'_, '_>, found: &[&Directive]) {
    pairs(route, found, "cookie_domains");
}

/// nginx: `proxy_cookie_path`.
pub(in crate::import) fn cookie_path(route: &mut Route<'_, '_>, found: &[&Directive]) {
    pairs(route, found, "cookie_paths");
}

/// nginx: `proxy_cookie_flags`.
pub(in crate::import) fn cookie_flags(route: &mut Route<'_, '_>, found: &[&Directive]) {
    for directive in found.iter().filter(|directive| directive.arg(0) != "off") {
        let flags: Vec<&str> = directive.texts().skip(1).collect();
        route.keys.put("cookie_flags", directive.arg(0), &flags.join(" "));
    }
}

/// nginx: `proxy_hide_header`.
pub(in crate::import) fn hide_header(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let mut names: Vec<&str> = Vec::new();
    for name in found.iter().map(|directive| directive.arg(0)) {
        let hidden = HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
        if !hidden && !is_hosts_own(name) && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    if !names.is_empty() {
        route.keys.set("remove_response_headers", Value::texts(names));
    }
}

/// nginx: `proxy_pass_header`.
pub(in crate::import) fn pass_header(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let names = found.iter().map(|directive| directive.arg(0)).filter(|name| !name.eq_ignore_ascii_case("date"));
    let names: Vec<&str> = names.filter(|name| HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name))).collect();
    if !names.is_empty() {
        route.keys.set("pass_response_headers", Value::texts(names));
    }
}

/// nginx: `proxy_ignore_headers`.
pub(in crate::import) fn ignore_headers(route: &mut Route<'_, '_>, found: &[&Directive]) {
    for directive in found {
        if directive.texts().any(|name| name.eq_ignore_ascii_case("x-accel-buffering")) {
            route.import.report.lacks(
                directive,
                "`X-Accel-Buffering` is always heeded",
                "take it out of the backend's answers",
            );
        }
    }
}

/// nginx: `proxy_buffering`.
pub(in crate::import) fn buffering(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if found.last().is_none_or(|directive| units::flag(directive.arg(0)) != Some(true)) {
        return;
    }
    let buffers = route.chain.one("proxy_buffers");
    let size =
        buffers.and_then(|buffers| buffers.arg(0).parse::<u64>().ok()?.checked_mul(units::size(buffers.arg(1))?));
    route.keys.set("buffer_responses", units::shown_size(size.unwrap_or(BUFFERS).min(MOST_BUFFER)));
}

/// nginx: `proxy_request_buffering`.
pub(in crate::import) fn request_buffering(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if found.last().is_none_or(|directive| units::flag(directive.arg(0)) != Some(true)) {
        return;
    }
    let most = route.chain.one("client_max_body_size").and_then(|directive| units::size(directive.arg(0)));
    let most = most.unwrap_or(1 << 20);
    route.keys.set("buffer_requests", units::shown_size(if most == 0 { MOST_BUFFER } else { most.min(MOST_BUFFER) }));
}

/// nginx: `proxy_next_upstream`.
pub(in crate::import) fn next_upstream(route: &mut Route<'_, '_>, found: &[&Directive]) {
    const KNOWN: [&str; 12] = [
        "error",
        "timeout",
        "invalid_header",
        "http_500",
        "http_502",
        "http_503",
        "http_504",
        "http_403",
        "http_404",
        "http_429",
        "non_idempotent",
        "off",
    ];
    let Some(directive) = found.last() else { return };
    let (known, unknown): (Vec<&str>, Vec<&str>) = directive.texts().partition(|word| KNOWN.contains(word));
    for word in unknown {
        route.import.report.lacks(directive, format!("`{word}` is no condition"), "leave it out");
    }
    let known = if known.contains(&"off") { vec!["off"] } else { known };
    route.keys.set("next_upstream", Value::texts(known));
}
