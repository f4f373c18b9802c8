//! What the stock plugins origin-check and auth-basic are told.

use serde_json::Map as Object;

use super::note;
use super::plugin::Generated;
use crate::config::key::Kind;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::{json, pattern};

/// `origins` and `missing_origin`; none where origins are not checked.
pub(super) fn origin_check(table: &Reader<'_>) -> Option<Generated> {
    let cx = table.cx;
    let Some(list) = table.find(&k::ORIGINS) else {
        if let Some(item) = table.own(&k::MISSING_ORIGIN).filter(|_| table.is_route()) {
            cx.hinted(item.at(), &item.path, "has no effect", "it needs `origins`");
        }
        return None;
    };
    let origins = table.texts(&k::ORIGINS)?;
    if list.node.is_empty_list() {
        let hint = "leave it out, or write [\"*\"] for every origin";
        cx.hinted(list.at(), &list.path, "an empty list would refuse every origin", hint);
    }
    let mut spots = vec![cx.spot("/allow".into(), &list.path, list.at())];
    for (i, origin) in origins.iter().enumerate() {
        spots.push(cx.spot(format!("/allow/{i}"), &origin.path, origin.at));
        check_origin(table, origin);
    }
    if let Some(missing) = table.placed(&k::MISSING_ORIGIN) {
        spots.push(cx.spot("/missing".into(), &missing.path, missing.at));
    }
    let mut config = Object::new();
    config.insert("allow".into(), origins.iter().map(|o| o.text).collect());
    config.insert("missing".into(), table.text(&k::MISSING_ORIGIN).into());
    Some(Generated { config, spots, at: list.at(), path: list.path, hooks: None, response_with: Vec::new() })
}

/// The plugin judges the rest.
pub(super) fn check_origin(table: &Reader<'_>, origin: &Text<'_>) {
    match pattern::marked_regex(origin.text) {
        Some(Err(fault)) => note(table.cx, origin.at, &origin.path, fault),
        Some(Ok(_)) => {}
        None if matches!(origin.text, "*" | "null") || origin.text.contains("://") => {}
        None => {
            let message = format!("\"{}\" is not an origin: it has no scheme", origin.text);
            let hint = format!("such as \"https://{}\"", origin.text.trim_start_matches('/'));
            table.cx.hinted(origin.at, &origin.path, message, hint);
        }
    }
}

/// `auth_basic`; none where it is absent or false.
pub(super) fn auth_basic(table: &Reader<'_>) -> Option<Generated> {
    let Kind::TableOrFalse(section) = k::AUTH_BASIC.kind else { return None };
    let item = table.find(&k::AUTH_BASIC)?;
    let basic = table.table_at(&item, section)?;
    let (cx, realm) = (table.cx, basic.placed(&k::REALM));
    let users = basic.own(&k::USERS)?;
    let text = json::secret(cx, users.node, &users.path)?;
    let mut spots = vec![cx.spot("/users".into(), &users.path, users.at())];
    let mut config = Object::new();
    if let Some(realm) = realm {
        spots.push(cx.spot("/realm".into(), &realm.path, realm.at));
        config.insert("realm".into(), realm.text.into());
    }
    config.insert("users".into(), text.into());
    Some(Generated { config, spots, at: item.at(), path: item.path, hooks: None, response_with: Vec::new() })
}
