//! `[[sites.routes]]`.

use std::collections::HashMap;
use std::sync::Arc;

use super::headers::Rules;
use super::site::{Inherited, Taken, plugins};
use super::{
    Build, access, bodies, content, fetch, headers, limits, logs, note, retry, secure, stock, upstream_values,
};
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::pattern::{self, Match};
use crate::config::reader::{Reader, Text};
use crate::config::types::{Content, DeflatePolicy, Limits, Messages, Route, Timeouts};

/// The routes of a site, or within a route; gives their indexes, with those within them.
pub(super) fn routes<'a>(
    outer: &Reader<'a>,
    inherited: &Inherited<'a>,
    build: &mut Build<'a>,
    taken: &mut Taken,
) -> Vec<usize> {
    let mut matches = HashMap::new();
    let mut indexes = Vec::new();
    for table in outer.tables(&k::ROUTES) {
        let table = table.within(&inherited.table);
        indexes.extend(route(&table, inherited, build, taken, &mut matches));
    }
    indexes
}

/// One route, and those within it.
fn route<'a>(
    table: &Reader<'a>,
    outer: &Inherited<'a>,
    build: &mut Build<'a>,
    taken: &mut Taken,
    matches: &mut HashMap<String, usize>,
) -> Vec<usize> {
    let upstream = upstream(table, build);
    let inherited = Inherited {
        table: table.clone(),
        name: outer.name,
        rules: Rules::read(table, &build.variables).under(&outer.rules),
        plugins: plugins(table, build, &outer.plugins),
        access_logs: logs::access_logs(table, &build.formats, &build.variables, &outer.access_logs),
        client_auth: outer.client_auth.clone(),
    };
    let chain = chain(&inherited, upstream, build);
    check_upgrade(table);
    retry::check(table);
    secure::check(table, &build.secure);
    let Some(pattern) = table.own_placed(&k::MATCH).filter(|m| !m.text.is_empty()) else { return Vec::new() };
    if pattern.text.starts_with('@') && table.around().is_none() {
        return named(&inherited, pattern.text, upstream, chain, build);
    }
    check_match(table, pattern.text, matches);
    let name = table.own_placed(&k::ROUTE_NAME);
    let name = name.map_or_else(|| made_name(outer.name, pattern.text, taken), |name| name.text.to_owned());
    build.router.begin(table, &name, &build.variables);
    let mut indexes = Vec::new();
    let answers = [&k::RESPOND, &k::HANDLER].iter().any(|key| table.own(key).is_some());
    if upstream.is_some() || answers || content::has_files(table) {
        indexes.push(build.routes.len());
        let parts = (limits::limits(table, build), content::content(table, pattern.text, build), handler(table, build));
        build.routes.push(resolved(&inherited, &name, pattern.text, upstream, chain, parts));
    }
    indexes.extend(routes(table, &inherited, build, taken));
    build.router.end();
    indexes
}

/// A route that no path leads to. nginx: `location @NAME`.
fn named(
    own: &Inherited<'_>,
    pattern: &str,
    upstream: Option<usize>,
    chain: Vec<usize>,
    build: &mut Build<'_>,
) -> Vec<usize> {
    let table = &own.table;
    for key in [&k::RESPOND, &k::REWRITES, &k::ROUTES, &k::REPLACE_PREFIX, &k::REWRITE, &k::ALIAS, &k::REDIRECT_HTTPS] {
        if let Some(item) = table.own(key) {
            table.cx.problem(item.at(), &item.path, "does not go with a route that is found by name alone");
        }
    }
    let place = (content::site_of(&table.path).to_owned(), pattern.to_owned());
    let Some(name) = build.named.get(&place).cloned() else { return Vec::new() };
    let parts = (limits::limits(table, build), content::content(table, pattern, build), handler(table, build));
    build.routes.push(resolved(own, &name, pattern, upstream, chain, parts));
    vec![build.routes.len() - 1]
}

/// Note the routes of a site that are found by name alone, before anything refers to them.
pub(super) fn take_named(table: &Reader<'_>, site: &str, build: &mut Build<'_>, taken: &mut Taken) {
    for route in table.tables(&k::ROUTES) {
        let Some(pattern) = route.own_placed(&k::MATCH).filter(|text| text.text.starts_with('@')) else { continue };
        let name = route.own_placed(&k::ROUTE_NAME).map(|name| name.text.to_owned());
        let name = name.unwrap_or_else(|| made_name(site, pattern.text, taken));
        let place = (content::site_of(&table.path).to_owned(), pattern.text.to_owned());
        if build.named.insert(place, name).is_some() {
            table.cx.problem(pattern.at, &pattern.path, format!("the site has a route \"{}\" already", pattern.text));
        }
    }
}

/// What a site answers itself has the site's rules for headers, which a route holds: its
/// name, where there is something to hold.
pub(super) fn name_of_site(table: &Reader<'_>, site: &Inherited<'_>, taken: &mut Taken) -> Option<String> {
    let has_rules = site.rules.change_answers() || !site.plugins.is_empty() || access::cors(table).is_some();
    let has_rules = has_rules || table.own(&k::ERROR_PAGES).is_some() || table.own(&k::COMPRESS).is_some();
    let has_rules = has_rules || !secure::headers(table).is_empty() || table.own(&k::REDIRECT_HTTPS).is_some();
    let is_asked = has_rules || table.own(&k::RESPOND).is_some() || table.own(&k::REWRITES).is_some();
    is_asked.then(|| made_name(site.name, "", taken))
}

/// The route of that name.
pub(super) fn of_site<'a>(site: &Inherited<'a>, build: &mut Build<'a>, name: &str) {
    let chain = chain(site, None, build);
    let parts = (limits::limits(&site.table, build), content::content(&site.table, "", build), None);
    build.routes.push(resolved(site, name, "", None, chain, parts));
}

fn resolved(
    own: &Inherited<'_>,
    name: &str,
    pattern: &str,
    upstream: Option<usize>,
    plugins: Vec<usize>,
    (limits, content, handler): (Limits, Content, Option<usize>),
) -> Route {
    let table = &own.table;
    let upgrade = match table.texts(&k::UPGRADE) {
        Some(tokens) => tokens.iter().map(|t| t.text.to_ascii_lowercase()).collect(),
        None => defaults::UPGRADE.iter().map(|t| (*t).to_owned()).collect(),
    };
    Route {
        name: name.into(),
        site: own.name.into(),
        pattern: pattern.to_owned(),
        upstream,
        plugins,
        pass_headers: headers::passed(table),
        log_level: table.text(&k::ROUTE_LOG_LEVEL).and_then(|level| level.parse().ok()),
        access_logs: Arc::clone(&own.access_logs),
        timeouts: timeouts(table),
        next_upstream: retry::next_upstream(table),
        upgrade,
        half_close: table.flag(&k::HALF_CLOSE),
        messages: messages(table),
        handler,
        bodies: bodies::bodies(table),
        access: access::lasting(table),
        limits,
        client_auth: own.client_auth.clone(),
        satisfy: access::satisfy(table),
        content,
    }
}

/// `SITE MATCH`, with a number where that is taken.
fn made_name(site: &str, pattern: &str, taken: &mut Taken) -> String {
    let base = match (site, pattern) {
        ("", "") => "site".to_owned(),
        (name, "") | ("", name) => name.to_owned(),
        _ => format!("{site} {pattern}"),
    };
    let mut name = base.clone();
    let mut number = 1;
    while taken.routes.insert(name.clone(), 0).is_some() {
        number += 1;
        name = format!("{base} ({number})");
    }
    name
}

fn upstream(table: &Reader<'_>, build: &mut Build<'_>) -> Option<usize> {
    if content::has_files(table) || table.own(&k::HANDLER).is_some() {
        return None;
    }
    match table.placed(&k::UPSTREAM) {
        Some(wanted) if wanted.text.is_empty() => None,
        Some(wanted) => build.upstreams.find(table, &wanted),
        None => {
            // One of the wrong type has been reported.
            if table.find(&k::UPSTREAM).is_none() && table.own(&k::RESPOND).is_none() {
                let hint = "on the route or its site: a name of [upstreams], or HOST:PORT; `root` serves files";
                table.cx.hinted(table.at, &table.path_of(&k::UPSTREAM), "is missing", hint);
            }
            None
        }
    }
}

/// The plugin that answers in an upstream's place.
fn handler(table: &Reader<'_>, build: &mut Build<'_>) -> Option<usize> {
    let text = table.own_placed(&k::HANDLER).filter(|text| !text.text.is_empty())?;
    for key in [&k::UPSTREAM, &k::RESPOND, &k::ROOT, &k::ALIAS] {
        if let Some(item) = table.own(key) {
            table.cx.problem(item.at(), &item.path, "does not go with `handler`");
        }
    }
    match build.plugins.custom(table.cx, text.text) {
        Ok(index) => index,
        Err((message, hint)) => {
            table.cx.hinted(text.at, &text.path, message, hint);
            None
        }
    }
}

/// Stock plugins, then the site's, then the route's own.
fn chain<'a>(own: &Inherited<'a>, upstream: Option<usize>, build: &mut Build<'a>) -> Vec<usize> {
    let table = &own.table;
    let upstream = upstream.and_then(|index| build.upstreams.list.get(index)).map(|upstream| &*upstream.name);
    let values = upstream_values::read(table, upstream, &own.rules, &build.variables);
    // A site's own answers are not asked for: nothing judges them.
    let judges = table.is_route();
    let stock = [
        ("origin-check", judges.then(|| stock::origin_check(table)).flatten()),
        ("cors", access::cors(table)),
        // nginx asks its modules in this order.
        ("access-list", judges.then(|| access::access_list(table)).flatten()),
        ("auth-basic", judges.then(|| stock::auth_basic(table)).flatten()),
    ];
    let mut chain = Vec::new();
    for (name, made) in stock {
        chain.extend(made.map(|made| build.plugins.stock(table.cx, name, made)));
    }
    let asked = judges.then(|| fetch::auth_request(table, &mut build.upstreams, &build.variables)).flatten();
    if let Some((made, grants)) = asked {
        chain.push(build.plugins.stock_granted(table.cx, "auth-request", made, grants));
    }
    let mapped = own.rules.generate(table, values);
    chain.extend(mapped.map(|made| build.plugins.stock(table.cx, "header-map", made)));
    let secured = secure::generate(table, &own.rules);
    chain.extend(secured.map(|made| build.plugins.stock(table.cx, "security-headers", made)));
    chain.extend(own.plugins.iter().map(|(_, index)| *index));
    chain
}

fn check_match<'a>(table: &Reader<'a>, pattern: &'a str, matches: &mut HashMap<String, usize>) {
    let cx = table.cx;
    let Some(text) = table.own_placed(&k::MATCH) else { return };
    let (replace, rewrite) = (table.own_placed(&k::REPLACE_PREFIX), table.own_placed(&k::REWRITE));
    let parsed = match pattern::parse_match(pattern) {
        Ok(parsed) => parsed,
        Err(fault) => return note(cx, text.at, &text.path, fault),
    };
    if let Some(outer) = table.around().and_then(|outer| outer.own_placed(&k::MATCH)) {
        check_inside(table, &text, &parsed, outer.text);
    }
    // nginx: "duplicate location"; two regular expressions may be equal there too.
    let twin = match &parsed {
        Match::Exact(path) => Some(format!("= {path}")),
        Match::Prefix(path) => Some((*path).to_owned()),
        Match::Regex(_) => None,
    };
    if let Some(first) = twin.and_then(|t| matches.insert(t, text.at)) {
        let line = cx.position(first).0;
        cx.problem(text.at, &text.path, format!("the site has a route for this at line {line} already"));
    }
    match (&parsed, replace, rewrite) {
        (Match::Regex(_), Some(replace), _) => {
            let message = "does not go with a regular expression, which has no prefix to replace";
            cx.hinted(replace.at, &replace.path, message, "write `rewrite` with $1");
        }
        (Match::Regex(regex), None, Some(rewrite)) => check_rewrite(table, regex, &rewrite),
        (_, replace, rewrite) => {
            if let Some(rewrite) = rewrite {
                let message = "goes only with a regular expression in `match`";
                cx.hinted(rewrite.at, &rewrite.path, message, "write `replace_prefix`, or `match` as \"~ re\"");
            }
            if let Some(replace) = replace.filter(|r| !r.text.is_empty() && !r.text.starts_with('/')) {
                cx.problem(replace.at, &replace.path, "must begin with `/`");
            }
        }
    }
}

/// What may stand in what, as in nginx.
fn check_inside(table: &Reader<'_>, text: &Text<'_>, inner: &Match<'_>, outer: &str) {
    let message = match (pattern::parse_match(outer), inner) {
        (Ok(Match::Exact(_)), _) => format!("no route stands in the exact \"{outer}\""),
        (Ok(Match::Prefix(prefix)), Match::Exact(path) | Match::Prefix(path)) if !path.starts_with(prefix) => {
            format!("\"{path}\" is outside of \"{prefix}\", in which it stands")
        }
        (Ok(Match::Regex(_)), Match::Exact(_) | Match::Prefix(_)) => {
            "only a regular expression can stand in a regular expression".to_owned()
        }
        _ => return,
    };
    table.cx.problem(text.at, &text.path, message);
}

/// Every capture that `rewrite` names must be one of `match`.
fn check_rewrite(table: &Reader<'_>, regex: &regex_lite::Regex, rewrite: &Text<'_>) {
    let names = match pattern::variables(rewrite.text) {
        Ok(names) => names,
        Err(fault) => return note(table.cx, rewrite.at, &rewrite.path, fault),
    };
    let groups = regex.captures_len() - 1;
    for name in names {
        let known = match name.parse::<usize>() {
            Ok(number) => number <= groups,
            Err(_) => regex.capture_names().flatten().any(|n| n == name),
        };
        if !known {
            let message = format!("`match` has no capture `${name}`");
            table.cx.hinted(rewrite.at, &rewrite.path, message, format!("it has {groups}"));
        }
    }
}

/// Upgrade tokens are protocol names (RFC 9110, section 7.8).
pub(super) fn check_upgrade(table: &Reader<'_>) {
    for token in table.own_texts(&k::UPGRADE) {
        let good = |part: &str| http::HeaderName::from_bytes(part.as_bytes()).is_ok();
        let (name, version) = token.text.split_once('/').unwrap_or((token.text, "1"));
        if !good(name) || !good(version) {
            table.cx.problem(token.at, &token.path, format!("\"{}\" is not a protocol's name", token.text));
        }
    }
}

fn messages(table: &Reader<'_>) -> Messages {
    let messages = table.table(&k::MESSAGES);
    let size = messages.size(&k::MESSAGES_MAX_SIZE).unwrap_or(defaults::MAX_MESSAGE);
    let ratio = messages.count(&k::MESSAGES_MAX_RATIO).unwrap_or(defaults::MAX_RATIO);
    Messages {
        max_size: usize::try_from(size).unwrap_or(usize::MAX),
        max_ratio: usize::try_from(ratio).unwrap_or(usize::MAX),
        deflate: match messages.text(&k::MESSAGES_DEFLATE) {
            Some("refuse") => DeflatePolicy::Refuse,
            _ => DeflatePolicy::Inspect,
        },
    }
}

fn timeouts(table: &Reader<'_>) -> Timeouts {
    let timeouts = table.table(&k::TIMEOUTS);
    Timeouts {
        connect: timeouts.duration(&k::CONNECT_TIMEOUT).unwrap_or(defaults::CONNECT_TIMEOUT),
        read: timeouts.duration(&k::READ_TIMEOUT).unwrap_or(defaults::READ_TIMEOUT),
        send: timeouts.duration(&k::SEND_TIMEOUT).unwrap_or(defaults::SEND_TIMEOUT),
    }
}
