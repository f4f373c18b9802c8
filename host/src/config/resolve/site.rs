//! `[[sites]]` and what they have to say to their routes.

use std::collections::HashMap;
use std::sync::Arc;

use super::headers::Rules;
use super::server::none;
use super::{Build, logs, note, route, stock};
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::types::{AccessLog, Site};

/// Names that are taken, and the byte where they stand.
#[derive(Default)]
pub(super) struct Taken {
    sites: HashMap<String, usize>,
    pub(super) routes: HashMap<String, usize>,
    default: Option<usize>,
}

/// What a route inherits.
pub(super) struct Inherited<'a> {
    pub(super) table: Reader<'a>,
    /// The site's first name, or empty.
    pub(super) name: &'a str,
    pub(super) rules: Rules<'a>,
    /// Indexes of the site's plugins, with their names.
    pub(super) plugins: Vec<(&'a str, usize)>,
    pub(super) access_logs: Arc<[AccessLog]>,
}

/// `[[sites]]`.
pub(super) fn sites<'a>(root: &Reader<'a>, build: &mut Build<'a>) -> Vec<Site> {
    let tables = root.tables(&k::SITES);
    if tables.is_empty() {
        none(root.cx, "sites", "add [[sites]] and [[sites.routes]]");
    }
    let mut taken = Taken::default();
    // Names that the file gives come before those that are made.
    for route in tables.iter().flat_map(|s| s.tables(&k::ROUTES)) {
        let Some(name) = route.placed(&k::ROUTE_NAME) else { continue };
        if let Some(first) = taken.routes.insert(name.text.to_owned(), name.at) {
            let line = root.cx.position(first).0;
            let message = format!("a route named \"{}\" stands at line {line} already", name.text);
            root.cx.problem(name.at, &name.path, message);
        }
    }
    tables.iter().map(|table| site(table, build, &mut taken)).collect()
}

fn site<'a>(table: &Reader<'a>, build: &mut Build<'a>, taken: &mut Taken) -> Site {
    let names = table.own_texts(&k::NAMES);
    check_names(table, &names, taken);
    build.router.site(table, &names);
    let inherited = Inherited {
        table: table.clone(),
        name: names.first().map_or("", |n| n.text),
        rules: Rules::read(table, &build.variables),
        plugins: plugins(table, build, &[]),
        access_logs: logs::access_logs(table, &build.formats, &build.variables, &build.access_logs),
    };
    // What no route inherits is checked all the same.
    stock::origin_check(table);
    stock::auth_basic(table);
    if let Some(wanted) = table.placed(&k::UPSTREAM) {
        build.upstreams.find(table, &wanted);
    }
    route::check_upgrade(table);
    let mut matches = HashMap::new();
    let routes = table.tables(&k::ROUTES);
    let mut indexes = Vec::with_capacity(routes.len());
    for route in routes {
        let route = route.within(&inherited.table);
        if let Some(route) = route::route(&route, &inherited, build, taken, &mut matches) {
            indexes.push(build.routes.len());
            build.routes.push(route);
        }
    }
    Site {
        names: names.iter().map(|n| lower_case(n.text)).collect(),
        default: table.flag(&k::DEFAULT_SITE),
        routes: indexes,
    }
}

/// Host names are compared in lower case; regular expressions stay as they are.
pub(super) fn lower_case(name: &str) -> String {
    if name.starts_with('~') { name.to_owned() } else { name.to_lowercase() }
}

fn check_names(table: &Reader<'_>, names: &[Text<'_>], taken: &mut Taken) {
    let cx = table.cx;
    for name in names {
        if let Err(fault) = pattern::check_site_name(name.text) {
            note(cx, name.at, &name.path, fault);
        }
        if let Some(first) = taken.sites.insert(lower_case(name.text), name.at) {
            let line = cx.position(first).0;
            cx.problem(name.at, &name.path, format!("a site named \"{}\" stands at line {line} already", name.text));
        }
    }
    if let Some(item) = table.own(&k::DEFAULT_SITE).filter(|_| table.flag(&k::DEFAULT_SITE)) {
        if let Some(first) = taken.default {
            let line = cx.position(first).0;
            cx.problem(item.at(), &item.path, format!("the site at line {line} is the default already"));
        }
        taken.default.get_or_insert(item.at());
    }
}

/// `plugins` of this very table, in order, with the index of each.
pub(super) fn plugins<'a>(
    table: &Reader<'a>,
    build: &mut Build<'a>,
    before: &[(&'a str, usize)],
) -> Vec<(&'a str, usize)> {
    let mut found: Vec<(&str, usize)> = before.to_vec();
    for text in table.own_texts(&k::ROUTE_PLUGINS) {
        if found.iter().any(|(name, _)| *name == text.text) {
            table.cx.problem(text.at, &text.path, format!("plugin \"{}\" is in this chain already", text.text));
            continue;
        }
        match build.plugins.custom(table.cx, text.text) {
            Ok(index) => found.extend(index.map(|i| (text.text, i))),
            Err((message, hint)) => table.cx.hinted(text.at, &text.path, message, hint),
        }
    }
    found
}
