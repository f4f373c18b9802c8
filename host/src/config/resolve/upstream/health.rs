//! `health` of an upstream.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::config::defaults;
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::resolve::note;
use crate::config::types::{
    Expect, Health, HttpProbe, OnUnhealthy, Pattern, Probe, ProbeRequest, TcpProbe, WebSocketProbe,
};

/// Header lines that checks write themselves.
const OWN: [&str; 8] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
];

/// Read it; none where the upstream has none. `name` is the upstream's.
pub(super) fn health(upstream: &Reader<'_>, name: &str) -> Option<Health> {
    upstream.own(&k::HEALTH)?;
    let table = upstream.table(&k::HEALTH);
    let wait = |key: &Key| table.duration(key).unwrap_or_default();
    let count = |key: &Key| table.count(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let interval = wait(&k::HEALTH_INTERVAL);
    Some(Health {
        probe: probe(&table, name),
        interval,
        jitter: table.duration(&k::HEALTH_JITTER).unwrap_or(interval / 10),
        timeout: wait(&k::HEALTH_TIMEOUT),
        fails: count(&k::HEALTH_FAILS),
        passes: count(&k::HEALTH_PASSES),
        port: table.count(&k::HEALTH_PORT).and_then(|n| u16::try_from(n).ok()),
        protocol: super::group::protocol(&table, &k::HEALTH_PROTOCOL)
            .or_else(|| super::group::protocol(upstream, &k::PROTOCOL))
            .unwrap_or_default(),
        mandatory: table.flag(&k::HEALTH_MANDATORY),
        on_unhealthy: on_unhealthy(&table, wait(&k::HEALTH_DRAIN)),
    })
}

fn on_unhealthy(table: &Reader<'_>, drain: Duration) -> OnUnhealthy {
    let word = table.text(&k::ON_UNHEALTHY);
    if word != Some("drain") {
        unused(table, &[&k::HEALTH_DRAIN], "it needs `on_unhealthy = \"drain\"`");
    }
    match word {
        Some("drain") => OnUnhealthy::Drain(drain),
        Some("close") => OnUnhealthy::Close,
        _ => OnUnhealthy::Keep,
    }
}

fn probe(table: &Reader<'_>, name: &str) -> Probe {
    let for_http = [&k::HEALTH_METHOD, &k::HEALTH_STATUSES];
    let for_websocket = [&k::HEALTH_SUBPROTOCOL, &k::HEALTH_ORIGIN];
    let for_bytes = [&k::HEALTH_CONTAINS, &k::HEALTH_MATCHES, &k::HEALTH_MAX_BODY];
    let for_requests = [&k::HEALTH_PATH, &k::HEALTH_HOST, &k::HEALTH_HEADERS];
    match table.text(&k::HEALTH_KIND) {
        Some("tcp") => {
            let all: Vec<&Key> = for_http.into_iter().chain(for_websocket).chain(for_requests).collect();
            unused(table, &all, "it is not for `kind = \"tcp\"`");
            let send = table.text(&k::HEALTH_SEND).unwrap_or_default().to_owned();
            Probe::Tcp(TcpProbe { send, expect: expect(table) })
        }
        Some("websocket") => {
            let all: Vec<&Key> = for_http.into_iter().chain(for_bytes).chain([&k::HEALTH_SEND]).collect();
            unused(table, &all, "it is not for `kind = \"websocket\"`");
            let mut request = request(table, name);
            let origin = line(table, &k::HEALTH_ORIGIN).map(|origin| ("Origin".to_owned(), origin));
            request.fields.extend(origin);
            Probe::WebSocket(WebSocketProbe { request, subprotocol: line(table, &k::HEALTH_SUBPROTOCOL) })
        }
        _ => {
            let all: Vec<&Key> = for_websocket.into_iter().chain([&k::HEALTH_SEND]).collect();
            unused(table, &all, "it is not for `kind = \"http\"`");
            let (method, request) = (method(table), request(table, name));
            Probe::Http(HttpProbe { method, request, statuses: statuses(table), expect: expect(table) })
        }
    }
}

/// Keys that are there and mean nothing.
fn unused(table: &Reader<'_>, keys: &[&Key], hint: &str) {
    for item in keys.iter().filter_map(|key| table.own(key)) {
        table.cx.hinted(item.at(), &item.path, "has no effect", hint);
    }
}

fn method(table: &Reader<'_>) -> Method {
    let text = table.text(&k::HEALTH_METHOD).unwrap_or(defaults::HEALTH_METHOD);
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if method != Method::CONNECT => return method,
        _ => {}
    }
    if let Some(place) = table.placed(&k::HEALTH_METHOD) {
        table.cx.hinted(place.at, &place.path, format!("\"{text}\" is not a method"), "such as \"GET\" or \"HEAD\"");
    }
    Method::GET
}

fn request(table: &Reader<'_>, name: &str) -> ProbeRequest {
    let target = table.text(&k::HEALTH_PATH).unwrap_or(defaults::HEALTH_PATH).to_owned();
    let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if let Some(place) = table.placed(&k::HEALTH_PATH).filter(|_| !is_target) {
        let message = format!("\"{target}\" is not a path");
        table.cx.hinted(place.at, &place.path, message, "it begins with `/` and has no spaces");
    }
    // nginx: `$proxy_host`, which leaves out the scheme's own port.
    let usual = || name.strip_suffix(":80").unwrap_or(name).to_owned();
    let mut fields = vec![("Host".to_owned(), line(table, &k::HEALTH_HOST).unwrap_or_else(usual))];
    for header in table.own_map(&k::HEALTH_HEADERS) {
        let (name, value) = (header.name, &header.value);
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            table.cx.hinted(header.name_at, &value.path, format!("`{name}` is written by the check"), "leave it out");
        } else if HeaderName::from_bytes(name.as_bytes()).is_err() {
            table.cx.problem(header.name_at, &value.path, format!("\"{name}\" is not a header's name"));
        } else if HeaderValue::from_str(value.text).is_err() {
            table.cx.problem(value.at, &value.path, "is not a header's value");
        } else {
            fields.push((name.to_owned(), value.text.to_owned()));
        }
    }
    ProbeRequest { target, fields }
}

/// The value of a header line.
fn line(table: &Reader<'_>, key: &Key) -> Option<String> {
    let place = table.own_placed(key)?;
    if HeaderValue::from_str(place.text).is_err() {
        table.cx.problem(place.at, &place.path, "is not a header's value");
    }
    Some(place.text.to_owned())
}

fn statuses(table: &Reader<'_>) -> Vec<RangeInclusive<u16>> {
    let usual = || defaults::HEALTH_STATUSES.iter().filter_map(|text| range(text)).collect();
    let Some(list) = table.texts(&k::HEALTH_STATUSES) else { return usual() };
    let place = table.own(&k::HEALTH_STATUSES).filter(|list| list.node.is_empty_list());
    if let Some(list) = place {
        table.cx.hinted(list.at(), &list.path, "an empty list would let no check pass", "such as [\"200-399\"]");
    }
    list.iter().filter_map(|text| read_range(table, text)).collect()
}

fn read_range(table: &Reader<'_>, text: &Text<'_>) -> Option<RangeInclusive<u16>> {
    let found = range(text.text);
    if found.is_none() {
        let message = format!("\"{}\" is not a status or a range of them", text.text);
        table.cx.hinted(text.at, &text.path, message, "such as \"204\" or \"200-399\"");
    }
    found
}

/// `200` or `200-399`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = status(first)?..=status(last)?;
    (!range.is_empty()).then_some(range)
}

fn expect(table: &Reader<'_>) -> Expect {
    let matches = table.own_placed(&k::HEALTH_MATCHES).and_then(|place| match pattern::regex(place.text, false) {
        Ok(regex) => Some(Pattern(regex)),
        Err(fault) => {
            note(table.cx, place.at, &place.path, fault);
            None
        }
    });
    Expect {
        contains: table.text(&k::HEALTH_CONTAINS).map(str::to_owned),
        matches,
        most: table.size(&k::HEALTH_MAX_BODY).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_statuses() {
        assert_eq!(range("204"), Some(204..=204));
        assert_eq!(range("200-399"), Some(200..=399));
        for text in ["", "-", "200-", "99", "600", "399-200", "2xx", "200,204", "200 - 300"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
