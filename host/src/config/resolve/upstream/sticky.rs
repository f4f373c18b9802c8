//! `sticky` of an upstream.

use http::HeaderName;

use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::resolve::{maps, note};
use crate::config::types::{Sticky, StickyCookie, StickyLearn};
use crate::config::variables::Variables;
use crate::config::{Secret, defaults, json, pattern};
use crate::hook::Template;

/// Keys that only cookies read.
const OF_COOKIES: [&Key; 7] = [
    &k::STICKY_SECRET,
    &k::STICKY_EXPIRES,
    &k::STICKY_DOMAIN,
    &k::STICKY_PATH,
    &k::STICKY_HTTP_ONLY,
    &k::STICKY_SECURE,
    &k::STICKY_SAME_SITE,
];
/// Keys that only learning reads.
const OF_LEARNING: [&Key; 4] = [&k::STICKY_CREATE, &k::STICKY_LOOKUP, &k::STICKY_SESSIONS, &k::STICKY_TIMEOUT];

/// Read it; none where it is absent or wrong.
pub(super) fn sticky(upstream: &Reader<'_>) -> Option<Sticky> {
    let whole = upstream.own(&k::STICKY)?;
    let table = upstream.table(&k::STICKY);
    let has = |key: &Key| table.own(key).is_some();
    let ways = [has(&k::STICKY_COOKIE), has(&k::STICKY_ROUTE), has(&k::STICKY_CREATE) || has(&k::STICKY_LOOKUP)];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        let hint = "write `cookie` and `secret`, or `route`, or `create` and `lookup`";
        table.cx.hinted(whole.at(), &whole.path, "needs exactly one way to know a session", hint);
        return None;
    }
    let [by_cookie, by_route, by_learning] = ways;
    foreign(&table, &OF_COOKIES, by_cookie, "cookie");
    foreign(&table, &OF_LEARNING, by_learning, "create");
    if by_route {
        return Some(Sticky::Route(templates(&table, &k::STICKY_ROUTE)));
    }
    if by_cookie {
        return cookie(&table).map(Sticky::Cookie);
    }
    let (create, lookup) = (templates(&table, &k::STICKY_CREATE), templates(&table, &k::STICKY_LOOKUP));
    if create.is_empty() || lookup.is_empty() {
        table.cx.problem(whole.at(), &whole.path, "`create` and `lookup` need each other");
    }
    let sessions = table.count(&k::STICKY_SESSIONS).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let timeout = table.duration(&k::STICKY_TIMEOUT).unwrap_or(defaults::SESSION_TIMEOUT);
    Some(Sticky::Learn(StickyLearn { create, lookup, sessions, timeout }))
}

/// Keys of another way than the one that is used.
fn foreign(table: &Reader<'_>, keys: &[&Key], used: bool, way: &str) {
    for item in keys.iter().filter(|_| !used).filter_map(|key| table.own(key)) {
        table.cx.problem(item.at(), &item.path, format!("goes with `{way}` only"));
    }
}

fn cookie(table: &Reader<'_>) -> Option<StickyCookie> {
    let name = table.own_placed(&k::STICKY_COOKIE)?;
    // RFC 6265 §4.1.1: a token, as a header's name is.
    if HeaderName::from_bytes(name.text.as_bytes()).is_err() {
        table.cx.problem(name.at, &name.path, format!("\"{}\" is not a cookie's name", name.text));
    }
    let path = table.own_placed(&k::STICKY_PATH);
    for text in path.iter().chain(&table.own_placed(&k::STICKY_DOMAIN)) {
        if text.text.bytes().any(|b| b == b';' || b.is_ascii_control() || b == b' ') {
            table.cx.problem(text.at, &text.path, format!("\"{}\" cannot stand in a cookie", text.text));
        }
    }
    let domain = table.own_placed(&k::STICKY_DOMAIN).and_then(|text| Template::parse(text.text).ok());
    Some(StickyCookie {
        name: name.text.to_owned(),
        secret: secret(table, &name),
        expires: table.duration(&k::STICKY_EXPIRES),
        domain: domain.unwrap_or_default(),
        path: path.map(|path| path.text.to_owned()),
        http_only: table.flag(&k::STICKY_HTTP_ONLY),
        secure: table.flag(&k::STICKY_SECURE),
        same_site: table.text(&k::STICKY_SAME_SITE).map(str::to_owned),
    })
}

fn secret(table: &Reader<'_>, cookie: &Text<'_>) -> Secret {
    let hint = "such as { from_env = \"STICKY_SECRET\" }; `openssl rand -hex 32` makes one";
    let Some(item) = table.own(&k::STICKY_SECRET) else {
        table.cx.hinted(cookie.at, &cookie.path, "`cookie` needs a `secret`", hint);
        return Secret::default();
    };
    let Some(secret) = json::secret(table.cx, item.node, &item.path) else { return Secret::default() };
    if secret.len() < defaults::LEAST_SECRET {
        let message = format!("has fewer than {} characters", defaults::LEAST_SECRET);
        table.cx.hinted(item.at(), &item.path, message, hint);
    }
    secret.into()
}

fn templates(table: &Reader<'_>, key: &Key) -> Vec<Template> {
    table.own_texts(key).iter().filter_map(|text| Template::parse(text.text).ok()).collect()
}

/// Report what is wrong with the variables.
pub(super) fn check(upstream: &Reader<'_>, variables: &Variables) {
    let table = upstream.table(&k::STICKY);
    let lists = [&k::STICKY_ROUTE, &k::STICKY_CREATE, &k::STICKY_LOOKUP].map(|key| table.own_texts(key));
    for text in lists.iter().flatten().chain(&table.own_placed(&k::STICKY_DOMAIN)) {
        match pattern::variables(text.text) {
            Ok(names) => {
                for name in names.into_iter().filter(|name| !name.starts_with("upstream_cookie_")) {
                    maps::check_variable(&table, text, name, variables);
                }
            }
            Err(fault) => note(table.cx, text.at, &text.path, fault),
        }
    }
}
