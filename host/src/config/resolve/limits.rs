//! `[limits.*]`, and the `limits` of sites and routes.

use std::sync::Arc;

use super::{Build, maps, note};
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::{Level, Limits, OpenLimit, RateLimit, Refusal, Zone};
use crate::config::variables::Variables;
use crate::config::{defaults, pattern, suggest};

/// The most requests a second that a rate can be.
const MOST_RATE: u64 = 1_000_000_000;

/// `[limits.*]`.
pub(super) fn zones(root: &Reader<'_>, variables: &Variables) -> Vec<Zone> {
    let mut zones = Vec::new();
    for named in root.named(&k::ZONES) {
        let table = named.value;
        let key = table.placed(&k::ZONE_KEY);
        if let Some(key) = &key {
            match pattern::variables(key.text) {
                Ok(_) => maps::check_variables(&table, key, variables),
                Err(fault) => note(table.cx, key.at, &key.path, fault),
            }
        }
        zones.push(Zone {
            name: named.name.into(),
            key: key.map_or("", |key| key.text).to_owned(),
            rate: table.placed(&k::ZONE_RATE).filter(|rate| !rate.text.is_empty()).map(|rate| {
                parse_rate(rate.text).unwrap_or_else(|| {
                    let message = format!("\"{}\" is not a rate", rate.text);
                    table.cx.hinted(rate.at, &rate.path, message, "such as \"10/s\" or \"30/m\", whole numbers from 1");
                    1000
                })
            }),
            size: table.size(&k::ZONE_SIZE).and_then(|size| usize::try_from(size).ok()).unwrap_or_default(),
        });
    }
    zones
}

/// Thousandths a second, rounded down as in nginx; `10r/s` is nginx's way to write it.
fn parse_rate(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once('/')?;
    let number = number.strip_suffix('r').unwrap_or(number);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        _ => return None,
    };
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|n| digits && (1..=MOST_RATE).contains(n))?;
    Some(number * 1000 / seconds)
}

/// `limits` of a site or route, with what it inherits.
pub(super) fn limits(table: &Reader<'_>, build: &Build<'_>) -> Limits {
    let table = table.table(&k::LIMITS);
    Limits {
        max_body: table.size(&k::MAX_BODY).filter(|most| *most > 0),
        rates: rules(&table, &k::RATE, |place, rule| rate_rule(place, rule, build)),
        rate_refusal: refusal(&table, &k::RATE_STATUS, &k::RATE_DRY_RUN, &k::RATE_LOG),
        open: rules(&table, &k::CONCURRENT, |place, rule| open_rule(place, rule, build)),
        open_refusal: refusal(&table, &k::CONCURRENT_STATUS, &k::CONCURRENT_DRY_RUN, &k::CONCURRENT_LOG),
    }
}

/// Numbers of what is open, where there are no requests.
pub(super) fn concurrent(table: &Reader<'_>, key: &Key, build: &Build<'_>) -> Limits {
    let refusal = Refusal { status: 503, dry_run: false, level: Level::Error };
    Limits {
        max_body: None,
        rates: Vec::new(),
        rate_refusal: refusal.clone(),
        open: rules(table, key, |place, rule| open_rule(place, rule, build)),
        open_refusal: refusal,
    }
}

fn refusal(table: &Reader<'_>, status: &Key, dry_run: &Key, level: &Key) -> Refusal {
    let status = table.count(status).unwrap_or(defaults::REFUSAL_STATUS);
    Refusal {
        status: u16::try_from(status).unwrap_or_default(),
        dry_run: table.flag(dry_run),
        level: match table.text(level) {
            Some("info") => Level::Info,
            Some("warn") => Level::Warn,
            _ => Level::Error,
        },
    }
}

/// Where a rule stands: the table of `limits`, and the rule's own where it has one.
struct Place<'r, 'a> {
    limits: &'r Reader<'a>,
    rule: Option<Reader<'a>>,
}

/// The rules of a list, each a zone's name or a table.
fn rules<'a, T>(table: &Reader<'a>, key: &Key, make: impl Fn(&Place<'_, 'a>, &Text<'a>) -> Option<T>) -> Vec<T> {
    let (Some(list), Kind::TextsOrTables(section)) = (table.find(key), key.kind) else { return Vec::new() };
    let zone_key = if section == crate::config::key::Section::RateRule { &k::RATE_ZONE } else { &k::OPEN_ZONE };
    let mut rules = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    for (i, node) in list.node.items().iter().enumerate() {
        let item = crate::config::reader::Item { node, path: format!("{}[{i}]", list.path) };
        let rule = table.table_at(&item, section);
        let zone = match &rule {
            Some(rule) => rule.placed(zone_key),
            None => node.text().map(|text| Text { text, path: item.path.clone(), at: item.at() }),
        };
        let Some(zone) = zone.filter(|zone| !zone.text.is_empty()) else { continue };
        if named.contains(&zone.text) {
            // nginx: "is duplicate"
            table.cx.problem(zone.at, &zone.path, format!("zone \"{}\" is in this list already", zone.text));
        }
        named.push(zone.text);
        rules.extend(make(&Place { limits: table, rule }, &zone));
    }
    rules
}

fn find<'b>(place: &Place<'_, '_>, name: &Text<'_>, build: &'b Build<'_>) -> Option<&'b Zone> {
    let found = build.zones.iter().find(|zone| *zone.name == *name.text);
    if found.is_none() {
        let names = build.zones.iter().map(|zone| &*zone.name);
        let hint = suggest::hint(name.text, names, &format!("define it in [limits.{}]", name.text));
        place.limits.cx.hinted(name.at, &name.path, format!("no zone named \"{}\"", name.text), hint);
    }
    found
}

fn rate_rule(place: &Place<'_, '_>, name: &Text<'_>, build: &Build<'_>) -> Option<RateLimit> {
    let zone = find(place, name, build)?;
    let cx = place.limits.cx;
    if zone.rate.is_none() {
        let hint = format!("add it in [limits.{}]", name.text);
        cx.hinted(name.at, &name.path, format!("zone \"{}\" has no `rate`", name.text), hint);
    }
    let zone = Arc::clone(&zone.name);
    let Some(rule) = &place.rule else { return Some(RateLimit { zone, burst: 0, delay: Some(0) }) };
    let count = |key| rule.count(key).and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    let nodelay = rule.flag(&k::NODELAY);
    if let Some(delay) = rule.own(&k::DELAY).filter(|_| nodelay) {
        cx.problem(delay.at(), &delay.path, "does not go with `nodelay`");
    }
    Some(RateLimit { zone, burst: count(&k::BURST), delay: (!nodelay).then(|| count(&k::DELAY)) })
}

fn open_rule(place: &Place<'_, '_>, name: &Text<'_>, build: &Build<'_>) -> Option<OpenLimit> {
    let zone = Arc::clone(&find(place, name, build)?.name);
    let count = |key| place.rule.as_ref()?.count(key).and_then(|n| u32::try_from(n).ok());
    let (total, requests, tunnels) = (count(&k::TOTAL), count(&k::OPEN_REQUESTS), count(&k::OPEN_TUNNELS));
    let has_key =
        |rule: &Reader<'_>| [&k::TOTAL, &k::OPEN_REQUESTS, &k::OPEN_TUNNELS].iter().any(|key| rule.own(key).is_some());
    if !place.rule.as_ref().is_some_and(has_key) {
        let hint = "`total`, `requests` or `tunnels`, in { zone = \"…\", total = 10 }";
        place.limits.cx.hinted(name.at, &name.path, "says no number", hint);
    }
    Some(OpenLimit { zone, total, requests, tunnels })
}

#[cfg(test)]
mod tests {
    use super::parse_rate;

    #[test]
    fn rates_are_thousandths_a_second_as_nginx_rounds_them() {
        for (text, rate) in [
            ("10/s", Some(10_000)),
            ("10r/s", Some(10_000)),
            ("30/m", Some(500)),
            ("1r/m", Some(16)),
            ("0/s", None),
            ("1.5/s", None),
            ("+1/s", None),
            ("10", None),
            ("10/h", None),
            ("/s", None),
            ("99999999999/s", None),
        ] {
            assert_eq!(parse_rate(text), rate, "{text}");
        }
    }
}
