//! What the stock plugin router is told: sites, routes within routes, rewrite rules, answers.

use std::net::SocketAddr;

use serde_json::{Map as Object, Value as Json, json};

use super::plugin::Generated;
use super::secure::Https;
use super::site::lower_case;
use super::{maps, note};
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::types::Spot;
use crate::config::variables::Variables;

/// The router's view of the sites, collected while they are read.
#[derive(Default)]
pub(super) struct RouterTable {
    sites: Vec<Json>,
    spots: Vec<Spot>,
    /// The routes of the latest site that are being read: each within the one before.
    open: Vec<usize>,
    /// The listeners with TLS.
    secure: Vec<SocketAddr>,
}

impl RouterTable {
    /// None yet; `secure` are the listeners with TLS.
    pub(super) fn new(secure: Vec<SocketAddr>) -> Self {
        Self { secure, ..Self::default() }
    }

    /// Add a site without routes. `route` is the host's name for what it answers itself.
    pub(super) fn site(&mut self, site: &Reader<'_>, names: &[Text<'_>], route: Option<&str>, variables: &Variables) {
        let pointer = format!("/sites/{}", self.sites.len());
        self.spots.push(site.cx.spot(pointer.clone(), &site.path, site.at));
        for (i, name) in names.iter().enumerate() {
            self.spots.push(site.cx.spot(format!("{pointer}/names/{i}"), &name.path, name.at));
        }
        let names: Vec<String> = names.iter().map(|n| lower_case(n.text)).collect();
        let mut json = Object::new();
        json.insert("names".into(), names.into());
        let listen = site.own_texts(&k::LISTEN);
        if !listen.is_empty() {
            json.insert("listen".into(), listen.iter().map(|text| text.text).collect());
        }
        json.insert("default".into(), site.flag(&k::DEFAULT_SITE).into());
        if let Some(route) = route {
            json.insert("route".into(), route.into());
        }
        json.extend(self.script(site, &pointer, variables));
        json.insert("routes".into(), json!([]));
        self.sites.push(Json::Object(json));
    }

    /// Begin a route, in the latest one that was not ended or else in the latest site.
    pub(super) fn begin(&mut self, route: &Reader<'_>, name: &str, variables: &Variables) {
        let mut pointer = format!("/sites/{}", self.sites.len().saturating_sub(1));
        for index in &self.open {
            pointer.push_str(&format!("/routes/{index}"));
        }
        let count = self.routes().map_or(0, |routes| routes.len());
        let pointer = format!("{pointer}/routes/{count}");
        self.spots.push(route.cx.spot(pointer.clone(), &route.path, route.at));
        let mut json = Object::new();
        json.insert("name".into(), name.into());
        if let Some(text) = route.placed(&k::UPSTREAM_BY).filter(|text| !text.text.is_empty()) {
            check_template(route, &text, variables, None);
            self.spots.push(route.cx.spot(format!("{pointer}/upstream"), &text.path, text.at));
            json.insert("upstream".into(), text.text.into());
        }
        for key in [&k::ROUTE_NAME, &k::MATCH, &k::REPLACE_PREFIX, &k::REWRITE] {
            let text = route.own_placed(key);
            if let Some(text) = &text {
                self.spots.push(route.cx.spot(format!("{pointer}/{}", key.name), &text.path, text.at));
            }
            json.entry(key.name).or_insert_with(|| text.map(|t| t.text).into());
        }
        json.extend(self.script(route, &pointer, variables));
        if route.own(&k::ROUTES).is_some() {
            json.insert("routes".into(), json!([]));
        }
        if let Some(routes) = self.routes() {
            routes.push(Json::Object(json));
        }
        self.open.push(count);
    }

    /// End the latest route that was begun.
    pub(super) fn end(&mut self) {
        self.open.pop();
    }

    /// The list to which the next route belongs.
    fn routes(&mut self) -> Option<&mut Vec<Json>> {
        let mut at = self.sites.last_mut()?.get_mut("routes")?;
        for index in &self.open {
            at = at.get_mut(*index)?.get_mut("routes")?;
        }
        at.as_array_mut()
    }

    /// `rewrites`, `respond` and how redirects are completed.
    fn script(&mut self, table: &Reader<'_>, pointer: &str, variables: &Variables) -> Object<String, Json> {
        let mut json = Object::new();
        let mut rules = Vec::new();
        for (i, rule) in table.tables(&k::REWRITES).iter().enumerate() {
            let pointer = format!("{pointer}/rewrites/{i}");
            check_rule(rule, variables);
            let mut made =
                self.texts(rule, &[&k::REWRITE_MATCH, &k::REWRITE_TO, &k::REWRITE_FLAG, &k::REWRITE_IF], &pointer);
            let respond = self.respond(rule, &format!("{pointer}/respond"), variables);
            if let (Json::Object(made), Some(respond)) = (&mut made, respond) {
                made.insert("respond".into(), respond);
            }
            rules.push(made);
        }
        if !rules.is_empty() {
            json.insert("rewrites".into(), Json::Array(rules));
        }
        json.extend(self.respond(table, &format!("{pointer}/respond"), variables).map(|r| ("respond".to_owned(), r)));
        json.extend(redirects(table).map(|r| ("redirects".to_owned(), r)));
        json.extend(Https::of(table, &self.secure).map(|https| ("https".to_owned(), https.json())));
        json
    }

    fn respond(&mut self, table: &Reader<'_>, pointer: &str, variables: &Variables) -> Option<Json> {
        let Kind::Table(section) = k::RESPOND.kind else { return None };
        let respond = table.own(&k::RESPOND).and_then(|item| table.table_at(&item, section))?;
        self.spots.push(table.cx.spot(pointer.to_owned(), &respond.path, respond.at));
        for text in [respond.own_placed(&k::LOCATION), respond.own_placed(&k::BODY)].into_iter().flatten() {
            check_template(table, &text, variables, None);
        }
        let mut json = self.texts(&respond, &[&k::LOCATION, &k::BODY, &k::CONTENT_TYPE], pointer);
        if let (Json::Object(json), Some(item)) = (&mut json, respond.own(&k::STATUS)) {
            self.spots.push(table.cx.spot(format!("{pointer}/status"), &item.path, item.at()));
            json.insert("status".into(), respond.count(&k::STATUS).into());
        }
        Some(json)
    }

    /// The strings of these keys, and where they stand.
    fn texts(&mut self, table: &Reader<'_>, keys: &[&Key], pointer: &str) -> Json {
        self.spots.push(table.cx.spot(pointer.to_owned(), &table.path, table.at));
        let mut json = Object::new();
        for key in keys {
            if let Some(text) = table.own_placed(key) {
                self.spots.push(table.cx.spot(format!("{pointer}/{}", key.name), &text.path, text.at));
                json.insert(key.name.into(), text.text.into());
            }
        }
        Json::Object(json)
    }

    /// What the router is told.
    pub(super) fn generate(&self, root: &Reader<'_>) -> Generated {
        let mut config = Object::new();
        config.insert("sites".into(), Json::Array(self.sites.clone()));
        let (at, path) = root.own(&k::SITES).map_or((0, String::new()), |i| (i.at(), i.path));
        Generated { config, spots: self.spots.clone(), at, path, hooks: None, response_with: Vec::new() }
    }
}

/// How a Location without scheme and host is completed; none for nginx's way.
fn redirects(table: &Reader<'_>) -> Option<Json> {
    let keys = [&k::ABSOLUTE_REDIRECT, &k::SITE_NAME_IN_REDIRECT, &k::PORT_IN_REDIRECT];
    keys.iter().any(|key| table.find(key).is_some()).then(|| {
        json!({
            "absolute": table.flag(&k::ABSOLUTE_REDIRECT),
            "site_name": table.flag(&k::SITE_NAME_IN_REDIRECT),
            "port": table.flag(&k::PORT_IN_REDIRECT),
        })
    })
}

fn check_rule(rule: &Reader<'_>, variables: &Variables) {
    let regex = rule.own_placed(&k::REWRITE_MATCH).filter(|text| !text.text.is_empty());
    let regex = regex.and_then(|text| match pattern::regex(text.text, false) {
        Ok(regex) => Some(regex),
        Err(fault) => {
            note(rule.cx, text.at, &text.path, fault);
            None
        }
    });
    let to = rule.own_placed(&k::REWRITE_TO);
    if let Some(to) = &to {
        check_template(rule, to, variables, regex.as_ref());
    }
    if let Some(when) = rule.own_placed(&k::REWRITE_IF) {
        check_template(rule, &when, variables, None);
    }
    let (responds, flag) = (rule.own(&k::RESPOND).is_some(), rule.text(&k::REWRITE_FLAG));
    let is_rule = match (to.is_some(), responds) {
        (true, false) => true,
        (false, true) => flag.is_none(),
        (false, false) => flag == Some("break"),
        (true, true) => false,
    };
    if !is_rule {
        let hint = "a rule has `to`, or `respond`, or `flag = \"break\"` alone";
        rule.cx.hinted(rule.at, &rule.path, "it is not clear what this rule does", hint);
    }
}

/// A template's variables; groups by number only as far as the expression beside it has them,
/// if there is one.
fn check_template(table: &Reader<'_>, text: &Text<'_>, variables: &Variables, regex: Option<&regex_lite::Regex>) {
    let names = match pattern::variables(text.text) {
        Ok(names) => names,
        Err(fault) => return note(table.cx, text.at, &text.path, fault),
    };
    for name in names {
        match (name.parse::<usize>(), regex) {
            (Ok(number), Some(regex)) if number >= regex.captures_len() => {
                let message = format!("`match` has no capture `${name}`");
                let hint = format!("it has {}", regex.captures_len() - 1);
                table.cx.hinted(text.at, &text.path, message, hint);
            }
            (Ok(_), _) => {}
            (Err(_), _) => maps::check_variable(table, text, name, variables),
        }
    }
}
