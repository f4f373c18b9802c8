//! Who the client is and whether it may come: `[real_ip]`, and what the stock plugins
//! access-list and cors are told.

use http::HeaderName;
use serde_json::{Map as Object, Value as Json};
use tidegate_cidr::Cidr;

use super::plugin::Generated;
use super::stock;
use crate::config::defaults;
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::{AccessRule, LastingAccess, RealIp, Satisfy, Spot};
use crate::hook::{Hook, HookSet, is_close_code};

/// `[real_ip]`.
pub(super) fn real_ip(root: &Reader<'_>) -> Option<RealIp> {
    root.own(&k::REAL_IP)?;
    let table = root.table(&k::REAL_IP);
    let mut trusted = Vec::new();
    for text in table.own_texts(&k::TRUSTED) {
        trusted.extend(cidr(&table, &text, text.text));
    }
    if let Some(list) = table.own(&k::TRUSTED).filter(|list| list.node.is_empty_list()) {
        table.cx.hinted(list.at(), &list.path, "an empty list would believe nobody", "leave [real_ip] out");
    }
    let name = table.text(&k::REAL_IP_HEADER).unwrap_or(defaults::REAL_IP_HEADER);
    let header = HeaderName::from_bytes(name.as_bytes());
    if let (Err(_), Some(text)) = (&header, table.placed(&k::REAL_IP_HEADER)) {
        let hint = "such as \"X-Forwarded-For\" or \"X-Real-IP\"";
        table.cx.hinted(text.at, &text.path, format!("\"{name}\" is not a header's name"), hint);
    }
    Some(RealIp { trusted, header: header.ok()?, recursive: table.flag(&k::RECURSIVE) })
}

fn cidr(table: &Reader<'_>, place: &Text<'_>, text: &str) -> Option<Cidr> {
    match Cidr::parse(text) {
        Ok(cidr) => Some(cidr),
        Err(error) => {
            let hint = if text.starts_with("unix:") {
                "Unix sockets are not supported yet"
            } else {
                "such as \"10.0.0.0/8\", \"2001:db8::/32\" or \"192.0.2.1\""
            };
            table.cx.hinted(place.at, &place.path, format!("\"{text}\" {error}"), hint);
            None
        }
    }
}

/// `satisfy`.
pub(super) fn satisfy(table: &Reader<'_>) -> Satisfy {
    match table.text(&k::SATISFY) {
        Some("any") => Satisfy::Any,
        Some("all") => Satisfy::All,
        // As nginx: a password must not make the question needless.
        _ if super::fetch::has_auth_request(table) => Satisfy::All,
        _ => Satisfy::First,
    }
}

/// `reauthorize` and `access_close_code`; a number beyond the key's range was told already.
pub(super) fn lasting(table: &Reader<'_>) -> LastingAccess {
    let default = u16::try_from(defaults::ACCESS_CLOSE_CODE).unwrap_or(1008);
    let code = table.count(&k::ACCESS_CLOSE_CODE).and_then(|code| u16::try_from(code).ok()).unwrap_or(default);
    if let Some(item) =
        table.find(&k::ACCESS_CLOSE_CODE).filter(|_| (1000..5000).contains(&code) && !is_close_code(code))
    {
        let message = format!("{code} cannot stand in a close frame");
        table.cx.hinted(item.at(), &item.path, message, "such as 1008, or one of 3000 to 4999");
    }
    let reauthorize = table.find(&k::REAUTHORIZE).and_then(|_| table.duration(&k::REAUTHORIZE));
    LastingAccess { reauthorize, close_code: code }
}

/// `access`; none where addresses are not checked.
pub(super) fn access_list(table: &Reader<'_>) -> Option<Generated> {
    let list = table.find(&k::ACCESS)?;
    let rules = table.texts(&k::ACCESS)?;
    // A route's empty list switches the site's off.
    if rules.is_empty() {
        return None;
    }
    let mut spots = vec![table.cx.spot("/rules".into(), &list.path, list.at())];
    for (i, rule) in rules.iter().enumerate() {
        spots.push(table.cx.spot(format!("/rules/{i}"), &rule.path, rule.at));
        check_rule(table, rule);
    }
    let mut config = Object::new();
    config.insert("rules".into(), rules.iter().map(|rule| rule.text).collect());
    // Where one yes is enough the list says yes; otherwise it has no objection, and the next
    // authorizer is asked.
    config.insert("grant".into(), (satisfy(table) == Satisfy::Any).into());
    Some(Generated { config, spots, at: list.at(), path: list.path, hooks: None, response_with: Vec::new() })
}

fn check_rule(table: &Reader<'_>, rule: &Text<'_>) {
    let (word, range) = rule.text.split_once(char::is_whitespace).unwrap_or((rule.text, ""));
    let range = range.trim();
    if !matches!(word, "allow" | "deny") || range.is_empty() {
        let message = format!("\"{}\" is not a rule", rule.text);
        table.cx.hinted(rule.at, &rule.path, message, "such as \"allow 10.0.0.0/8\" or \"deny all\"");
    } else if range != "all" {
        cidr(table, rule, range);
    }
}

/// The rules of a list, for who asks them in the host.
pub(super) fn rules(table: &Reader<'_>, key: &Key) -> Vec<AccessRule> {
    let rule = |rule: &Text<'_>| {
        check_rule(table, rule);
        let (word, range) = rule.text.split_once(char::is_whitespace)?;
        let range = match range.trim() {
            "all" => None,
            range => Some(Cidr::parse(range).ok()?),
        };
        Some(AccessRule { allow: word == "allow", range })
    };
    table.own_texts(key).iter().filter_map(rule).collect()
}

/// `cors`; none where it is absent or false.
pub(super) fn cors(table: &Reader<'_>) -> Option<Generated> {
    let Kind::TableOrFalse(section) = k::CORS.kind else { return None };
    let item = table.find(&k::CORS)?;
    let cors = table.table_at(&item, section)?;
    let credentials = cors.flag(&k::CORS_CREDENTIALS);
    let mut config = Object::new();
    let mut spots = Vec::new();
    let origins = cors.own_texts(&k::CORS_ORIGINS);
    if let Some(list) = cors.own(&k::CORS_ORIGINS).filter(|list| list.node.is_empty_list()) {
        let hint = "leave `cors` out, or write [\"*\"] for every origin";
        cors.cx.hinted(list.at(), &list.path, "an empty list would allow no origin", hint);
    }
    for origin in &origins {
        stock::check_origin(&cors, origin);
        if credentials && matches!(origin.text, "*" | "null") {
            let message =
                format!("\"{}\" does not go with `credentials`: any page could act for the user", origin.text);
            cors.cx.hinted(origin.at, &origin.path, message, "name the origins");
        }
    }
    put(&cors, &k::CORS_ORIGINS, &origins, &mut config, &mut spots);
    let methods = cors.texts(&k::CORS_METHODS);
    match &methods {
        Some(methods) => {
            tokens(&cors, methods, "a method");
            put(&cors, &k::CORS_METHODS, methods, &mut config, &mut spots);
        }
        None => {
            config.insert(k::CORS_METHODS.name.into(), defaults::CORS_METHODS.iter().copied().collect());
        }
    }
    for key in [&k::CORS_HEADERS, &k::CORS_EXPOSE] {
        let names = cors.own_texts(key);
        tokens(&cors, &names, "a header's name");
        put(&cors, key, &names, &mut config, &mut spots);
        let every = names.iter().find(|name| name.text == "*" && credentials && key.name == k::CORS_EXPOSE.name);
        if let Some(every) = every {
            cors.cx.hinted(every.at, &every.path, "\"*\" does not go with `credentials`", "name the headers");
        }
    }
    let age = cors.own(&k::CORS_MAX_AGE).and_then(|_| cors.duration(&k::CORS_MAX_AGE));
    config.insert("max_age".into(), age.map(|age| age.as_secs()).into());
    config.insert("credentials".into(), credentials.into());
    let hooks = HookSet::default().with(Hook::Origin).with(Hook::ResponseHeaders);
    Some(Generated { config, spots, at: item.at(), path: item.path, hooks: Some(hooks), response_with: Vec::new() })
}

/// RFC 9110 §5.6.2: a token, or `*` for all.
fn tokens(table: &Reader<'_>, texts: &[Text<'_>], what: &str) {
    for text in texts {
        // A method is a token as a header's name is.
        if HeaderName::from_bytes(text.text.as_bytes()).is_err() {
            table.cx.problem(text.at, &text.path, format!("\"{}\" is not {what}", text.text));
        }
    }
}

fn put(table: &Reader<'_>, key: &Key, texts: &[Text<'_>], config: &mut Object<String, Json>, spots: &mut Vec<Spot>) {
    if let Some(list) = table.own(key) {
        spots.push(table.cx.spot(format!("/{}", key.name), &list.path, list.at()));
    }
    for (i, text) in texts.iter().enumerate() {
        spots.push(table.cx.spot(format!("/{}/{i}", key.name), &text.path, text.at));
    }
    config.insert(key.name.into(), texts.iter().map(|text| text.text).collect());
}
