//! `allow`, `deny`, `auth_basic`, `auth_request`.

use super::chain::Chain;
use super::{Import, Route, dial, proxy};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};
use crate::import::units;

/// nginx: `allow`, `deny`.
pub(in crate::import) fn access(route: &mut Route<'_, '_>, _found: &[&Directive]) {
    let list = rules(route.import, &route.chain.clone());
    route.keys.set("access", Value::texts(list));
}

/// The rules in force at a place.
pub(super) fn rules(import: &mut Import<'_>, chain: &Chain<'_>) -> Vec<String> {
    let mut list = Vec::new();
    for rule in chain.in_force(&["allow", "deny"]) {
        let range = rule.arg(0);
        if range != "all" && tidegate_cidr::Cidr::parse(range).is_err() {
            import.report.lacks(
                rule,
                format!("`{range}` is not an address or network"),
                "write an IP address or network",
            );
            continue;
        }
        list.push(format!("{} {range}", rule.name()));
    }
    list
}

/// nginx: `auth_basic`.
pub(in crate::import) fn auth_basic(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let Some(directive) = found.last().filter(|directive| directive.arg(0) != "off") else { return };
    let realm = directive.arg(0);
    if realm.contains('$') {
        return route.import.report.lacks(directive, "the name has a variable", "write two locations");
    }
    let Some(file) = route.chain.one("auth_basic_user_file") else { return };
    if file.arg(0).contains('$') {
        return route.import.report.lacks(file, "the file's name has a variable", "write two locations");
    }
    let path = route.import.paths.of_folder(file.arg(0));
    let users = Value::Table(vec![("from_file".to_owned(), Value::text(path))]);
    route
        .keys
        .set("auth_basic", Value::Table(vec![("realm".to_owned(), Value::text(realm)), ("users".to_owned(), users)]));
}

/// The location of a server that answers a path which `auth_request` names.
pub(super) fn location_of<'d>(server: &'d Directive, path: &str) -> Option<&'d Directive> {
    server.all("location").find(|location| {
        let words: Vec<&str> = location.texts().collect();
        matches!(words.as_slice(), [one] if *one == path || one.strip_prefix('=') == Some(path))
            || matches!(words.as_slice(), ["=" | "^~", one] if *one == path)
    })
}

/// nginx: `auth_request`.
pub(in crate::import) fn auth_request(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let Some(directive) = found.last().filter(|directive| directive.arg(0) != "off") else { return };
    let path = directive.arg(0);
    let asks =
        location_of(route.server, path).and_then(|location| Some((location, location.all("proxy_pass").last()?)));
    let Some((location, pass)) = asks else {
        let instead = format!("write `location = {path} {{ internal; proxy_pass http://…; }}`");
        return route.import.report.lacks(directive, format!("no location passes `{path}` to an upstream"), instead);
    };
    let chain = Chain::new(route.import.http).with(route.server.inner()).with(location.inner());
    let values = route.values.clone();
    let Some(target) = proxy::target(route.import, pass, &values) else { return };
    if target.uri.contains('$') {
        return route.import.report.lacks(pass, "the path that is asked for has a variable", "write it without");
    }
    let mut keys = Keys::default();
    let options = dial::options(route.import, &chain, &target);
    let upstream = route.import.upstreams.refer(pass, &target, options);
    keys.set("upstream", Value::text(upstream));
    keys.set("path", Value::text(if target.uri.is_empty() { path } else { &target.uri }));
    if let Some(time) = chain.one("proxy_read_timeout").and_then(|directive| units::time_value(directive.arg(0))) {
        keys.set("timeout", time);
    }
    let mut has_host = false;
    for header in chain.in_force(&["proxy_set_header"]) {
        let name = header.arg(0);
        if crate::hook::is_hosts_own(name) {
            continue;
        }
        has_host |= name.eq_ignore_ascii_case("host");
        let value = route.import.template(header, header.arg(1), &values);
        keys.put("set_headers", name, &value.replace("$proxy_host", &target.host()));
    }
    if !has_host {
        keys.put("set_headers", "Host", &target.host());
    }
    for set in route.chain.in_force(&["auth_request_set"]) {
        let (name, value) = (set.arg(0).trim_start_matches('$'), set.arg(1));
        match value.trim_start_matches('$').strip_prefix("upstream_http_").filter(|_| value.starts_with('$')) {
            Some(header) => keys.put("variables", name, &header.replace('_', "-")),
            None => route.import.report.lacks(
                set,
                format!("`{value}` is no header of the answer"),
                "write `$upstream_http_NAME`",
            ),
        }
    }
    route.keys.set("auth_request", Value::Table(keys.0));
}
