//! Values that only the upstream sends, and what the client sees instead: locations and
//! cookies. A part of what the stock plugin header-map is told.

use http::HeaderName;
use http::header::{LOCATION, REFRESH, SET_COOKIE};
use serde_json::{Map as Object, Value as Json, json};

use super::headers::Rules;
use super::{maps, note};
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::pattern::{self, Match};
use crate::config::reader::{Named, Reader, Text};
use crate::config::types::Spot;
use crate::config::variables::Variables;

/// What header-map is told of them.
#[derive(Default)]
pub(super) struct Values {
    /// Its key `upstream`.
    pub(super) config: Object<String, Json>,
    pub(super) spots: Vec<Spot>,
    /// The headers that they stand in; empty where there is nothing to do.
    pub(super) headers: Vec<HeaderName>,
}

const COOKIES: [(&Key, &str); 3] =
    [(&k::COOKIE_DOMAINS, "cookie_domains"), (&k::COOKIE_PATHS, "cookie_paths"), (&k::COOKIE_FLAGS, "cookie_flags")];

/// The keys of a route or, where it has none, of its site. `upstream` is the name of where
/// the route leads.
pub(super) fn read(table: &Reader<'_>, upstream: Option<&str>, rules: &Rules<'_>, variables: &Variables) -> Values {
    let mut values = Values::default();
    // Nothing of an upstream's where there is none.
    let Some(upstream) = upstream else { return values };
    let location = match table.map(&k::REWRITE_LOCATION) {
        Some(entries) => pairs(table, &entries, "location", variables, &mut values.spots),
        None => default_location(table, upstream, rules),
    };
    if !location.is_empty() {
        values.headers.extend([LOCATION, REFRESH]);
        values.config.insert("location".into(), Json::Array(location));
        values.config.insert("absolute".into(), absolute(table));
    }
    for (key, name) in COOKIES {
        let Some(entries) = table.map(key).filter(|entries| !entries.is_empty()) else { continue };
        let list = pairs(table, &entries, name, variables, &mut values.spots);
        values.config.insert(name.into(), Json::Array(list));
        if !values.headers.contains(&SET_COOKIE) {
            values.headers.push(SET_COOKIE);
        }
    }
    values
}

/// Check what no route may inherit.
pub(super) fn check(site: &Reader<'_>, variables: &Variables) {
    for (key, name) in COOKIES.into_iter().chain([(&k::REWRITE_LOCATION, "location")]) {
        pairs(site, &site.own_map(key), name, variables, &mut Vec::new());
    }
}

fn pairs(
    table: &Reader<'_>,
    entries: &[Named<'_, Text<'_>>],
    name: &str,
    variables: &Variables,
    spots: &mut Vec<Spot>,
) -> Vec<Json> {
    let mut list = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate() {
        let from = Text { text: entry.name, path: entry.value.path.clone(), at: entry.name_at };
        spots.push(table.cx.spot(format!("/upstream/{name}/{i}/0"), &from.path, from.at));
        spots.push(table.cx.spot(format!("/upstream/{name}/{i}"), &from.path, from.at));
        spots.push(table.cx.spot(format!("/upstream/{name}/{i}/1"), &from.path, entry.value.at));
        match pattern::marked_regex(from.text) {
            Some(Err(fault)) => note(table.cx, from.at, &from.path, fault),
            // Its groups are variables of the value.
            Some(Ok(regex)) => check_template(table, &entry.value, variables, Some(&regex)),
            None => {
                check_template(table, &from, variables, None);
                check_template(table, &entry.value, variables, None);
            }
        }
        list.push(json!([from.text, entry.value.text]));
    }
    list
}

fn check_template(table: &Reader<'_>, text: &Text<'_>, variables: &Variables, regex: Option<&regex_lite::Regex>) {
    let names = match pattern::variables(text.text) {
        Ok(names) => names,
        Err(fault) => return note(table.cx, text.at, &text.path, fault),
    };
    for name in names {
        let is_group = regex.is_some_and(|regex| match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|group| group == name),
        });
        if !is_group {
            maps::check_variable(table, text, name, variables);
        }
    }
}

/// nginx: `proxy_redirect default`. Only where the upstream is told another Host than the
/// client's: else its locations name that host, and looking at each answer would be in vain.
fn default_location(table: &Reader<'_>, upstream: &str, rules: &Rules<'_>) -> Vec<Json> {
    let told = rules.host().filter(|host| !matches!(*host, "$host" | "$http_host" | "${host}" | "${http_host}"));
    // nginx has no default where `proxy_pass` has variables.
    if told.is_none() || table.own(&k::REWRITE).is_some() {
        return Vec::new();
    }
    let new = table.own_placed(&k::REPLACE_PREFIX).map(|text| text.text);
    let matched = table.own_placed(&k::MATCH).map(|text| pattern::parse_match(text.text));
    let (theirs, ours) = match (new, matched) {
        (Some(new), Some(Ok(Match::Exact(path) | Match::Prefix(path)))) => (new, path),
        _ => ("/", "/"),
    };
    let escaped = |text: &str| text.replace('$', "$$");
    // A Unix socket has no URL that a backend would send anyone to.
    if upstream.contains("unix:") {
        return Vec::new();
    }
    let (scheme, address, port) = match upstream.strip_prefix("https://") {
        Some(address) => ("https", address, ":443"),
        None => ("http", upstream, ":80"),
    };
    let rule = |authority: &str| json!([escaped(&format!("{scheme}://{authority}{theirs}")), escaped(ours)]);
    let mut list = vec![rule(address)];
    list.extend(address.strip_suffix(port).map(rule));
    list
}

/// How a rewritten Location without scheme and host is completed.
fn absolute(table: &Reader<'_>) -> Json {
    if !table.flag(&k::ABSOLUTE_REDIRECT) {
        return Json::Null;
    }
    let site = table.site_name().filter(|_| table.flag(&k::SITE_NAME_IN_REDIRECT));
    json!({ "host": site, "port": table.flag(&k::PORT_IN_REDIRECT) })
}
