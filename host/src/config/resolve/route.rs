//! `[[sites.routes]]`.

use std::collections::HashMap;

use super::headers::Rules;
use super::site::{Inherited, Taken, plugins};
use super::{Build, logs, note, stock};
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::pattern::{self, Match};
use crate::config::reader::Reader;
use crate::config::types::{Route, Timeouts};

/// One route; none where something that it cannot be without is missing or wrong.
pub(super) fn route<'a>(
    table: &Reader<'a>,
    site: &Inherited<'a>,
    build: &mut Build<'a>,
    taken: &mut Taken,
    matches: &mut HashMap<String, usize>,
) -> Option<Route> {
    let upstream = upstream(table, build);
    let chain = chain(table, site, build);
    let access_logs = logs::access_logs(table, &build.formats, &build.variables, &site.access_logs);
    check_upgrade(table);
    let pattern = table.text(&k::MATCH).filter(|m| !m.is_empty())?;
    check_match(table, pattern, matches);
    let name = table.text(&k::ROUTE_NAME).map_or_else(|| made_name(site.name, pattern, taken), str::to_owned);
    build.router.route(table, &name);
    let upgrade = match table.texts(&k::UPGRADE) {
        Some(tokens) => tokens.iter().map(|t| t.text.to_ascii_lowercase()).collect(),
        None => defaults::UPGRADE.iter().map(|t| (*t).to_owned()).collect(),
    };
    Some(Route {
        name: name.into(),
        site: site.name.into(),
        pattern: pattern.to_owned(),
        upstream: upstream?,
        plugins: chain,
        log_level: table.text(&k::ROUTE_LOG_LEVEL).and_then(|level| level.parse().ok()),
        access_logs,
        timeouts: timeouts(table),
        upgrade,
        half_close: table.flag(&k::HALF_CLOSE),
    })
}

/// `SITE MATCH`, with a number where that is taken.
fn made_name(site: &str, pattern: &str, taken: &mut Taken) -> String {
    let base = if site.is_empty() { pattern.to_owned() } else { format!("{site} {pattern}") };
    let mut name = base.clone();
    let mut number = 1;
    while taken.routes.insert(name.clone(), 0).is_some() {
        number += 1;
        name = format!("{base} ({number})");
    }
    name
}

fn upstream(table: &Reader<'_>, build: &mut Build<'_>) -> Option<usize> {
    match table.placed(&k::UPSTREAM) {
        Some(wanted) if wanted.text.is_empty() => None,
        Some(wanted) => build.upstreams.find(table, &wanted),
        None => {
            // One of the wrong type has been reported.
            if table.find(&k::UPSTREAM).is_none() {
                let hint = "on the route or its site: a name of [upstreams], or HOST:PORT";
                table.cx.hinted(table.at, &table.path_of(&k::UPSTREAM), "is missing", hint);
            }
            None
        }
    }
}

/// Stock plugins, then the site's, then the route's own.
fn chain<'a>(table: &Reader<'a>, site: &Inherited<'a>, build: &mut Build<'a>) -> Vec<usize> {
    let rules = Rules::read(table, &build.variables).under(&site.rules);
    let stock = [
        ("origin-check", stock::origin_check(table)),
        ("auth-basic", stock::auth_basic(table)),
        ("header-map", rules.generate(table)),
    ];
    let mut chain = Vec::new();
    for (name, made) in stock {
        chain.extend(made.map(|made| build.plugins.stock(table.cx, name, made)));
    }
    chain.extend(plugins(table, build, &site.plugins).into_iter().map(|(_, index)| index));
    chain
}

fn check_match<'a>(table: &Reader<'a>, pattern: &'a str, matches: &mut HashMap<String, usize>) {
    let cx = table.cx;
    let Some(text) = table.placed(&k::MATCH) else { return };
    let (replace, rewrite) = (table.placed(&k::REPLACE_PREFIX), table.placed(&k::REWRITE));
    let parsed = match pattern::parse_match(pattern) {
        Ok(parsed) => parsed,
        Err(fault) => return note(cx, text.at, &text.path, fault),
    };
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

/// Every capture that `rewrite` names must be one of `match`.
fn check_rewrite(table: &Reader<'_>, regex: &regex_lite::Regex, rewrite: &crate::config::reader::Text<'_>) {
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

fn timeouts(table: &Reader<'_>) -> Timeouts {
    let timeouts = table.table(&k::TIMEOUTS);
    Timeouts {
        connect: timeouts.duration(&k::CONNECT_TIMEOUT).unwrap_or(defaults::CONNECT_TIMEOUT),
        read: timeouts.duration(&k::READ_TIMEOUT).unwrap_or(defaults::READ_TIMEOUT),
        send: timeouts.duration(&k::SEND_TIMEOUT).unwrap_or(defaults::SEND_TIMEOUT),
    }
}
