//! `[[sites]]` and what they have to say to their routes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::headers::Rules;
use super::server::none;
use super::{
    Build, access, content, fetch, limits, logs, note, retry, route, secure, stock, suggest, tls, upstream_values,
};
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::types::{AccessLog, Site};
use crate::tls::server::ClientAuth;

/// Names that are taken, and the byte where they stand.
#[derive(Default)]
pub(super) struct Taken {
    /// By several sites where they are at different listeners.
    sites: HashMap<String, Vec<Place>>,
    pub(super) routes: HashMap<String, usize>,
    defaults: Vec<Place>,
}

/// Where something of a site stands, and the listeners that the site is at; none is all.
struct Place {
    at: usize,
    listen: Vec<SocketAddr>,
}

impl Place {
    /// Whether there is a listener that both are at.
    fn meets(&self, listen: &[SocketAddr]) -> bool {
        self.listen.is_empty() || listen.is_empty() || self.listen.iter().any(|address| listen.contains(address))
    }
}

/// Note a place; the byte of the first one before that it meets.
fn put(places: &mut Vec<Place>, at: usize, listen: &[SocketAddr]) -> Option<usize> {
    let first = places.iter().find(|place| place.meets(listen)).map(|place| place.at);
    places.push(Place { at, listen: listen.to_vec() });
    first
}

/// What a route inherits from its site, or from the route around it.
pub(super) struct Inherited<'a> {
    pub(super) table: Reader<'a>,
    /// The site's first name, or empty.
    pub(super) name: &'a str,
    pub(super) rules: Rules<'a>,
    /// Indexes of the plugins before its own, with their names.
    pub(super) plugins: Vec<(&'a str, usize)>,
    pub(super) access_logs: Arc<[AccessLog]>,
    /// What the site asks of TLS clients.
    pub(super) client_auth: Option<Arc<ClientAuth>>,
}

/// `[[sites]]`.
pub(super) fn sites<'a>(root: &Reader<'a>, build: &mut Build<'a>) -> Vec<Site> {
    let tables = root.tables(&k::SITES);
    if tables.is_empty() && root.tables(&k::STREAMS).is_empty() {
        none(root.cx, "sites", "add [[sites]] and [[sites.routes]]");
    }
    let mut taken = Taken::default();
    // Names that the file gives come before those that are made.
    for table in &tables {
        take_names(table, &mut taken);
    }
    let mut sites = Vec::with_capacity(tables.len());
    let mut own = Vec::new();
    for table in &tables {
        let (site, answers) = site(table, build, &mut taken);
        sites.push(site);
        own.extend(answers);
    }
    // After those of the file.
    for (inherited, name) in own {
        route::of_site(&inherited, build, &name);
    }
    sites
}

/// The names that the routes in a table are given, those within others too.
fn take_names(table: &Reader<'_>, taken: &mut Taken) {
    for route in table.tables(&k::ROUTES) {
        if let Some(name) = route.own_placed(&k::ROUTE_NAME)
            && let Some(first) = taken.routes.insert(name.text.to_owned(), name.at)
        {
            let line = table.cx.position(first).0;
            let message = format!("a route named \"{}\" stands at line {line} already", name.text);
            table.cx.problem(name.at, &name.path, message);
        }
        take_names(&route, taken);
    }
}

/// One site, and the name of the route that holds its own answers.
fn site<'a>(table: &Reader<'a>, build: &mut Build<'a>, taken: &mut Taken) -> (Site, Option<(Inherited<'a>, String)>) {
    let names = table.own_texts(&k::NAMES);
    let listen = listened(table, &build.addresses, &k::LISTEN);
    check_names(table, &names, &listen, taken);
    let tls = tls::site(table, &names, &listen);
    let inherited = Inherited {
        table: table.clone(),
        name: names.first().map_or("", |n| n.text),
        rules: Rules::read(table, &build.variables),
        plugins: plugins(table, build, &[]),
        access_logs: logs::access_logs(table, &build.formats, &build.variables, &build.access_logs),
        client_auth: tls.client_auth(),
    };
    build.tls.push(tls);
    route::take_named(table, inherited.name, build, taken);
    let own = route::name_of_site(table, &inherited, taken);
    build.router.site(table, &names, own.as_deref(), &build.variables);
    // What no route inherits is checked all the same.
    stock::origin_check(table);
    stock::auth_basic(table);
    fetch::auth_request(table, &mut build.upstreams, &build.variables);
    access::access_list(table);
    access::cors(table);
    limits::limits(table, build);
    content::content(table, "", build);
    if let Some(wanted) = table.placed(&k::UPSTREAM) {
        build.upstreams.find(table, &wanted);
    }
    route::check_upgrade(table);
    retry::check(table);
    secure::check(table, &build.secure);
    upstream_values::check(table, &build.variables);
    let indexes = route::routes(table, &inherited, build, taken);
    let site = Site {
        names: names.iter().map(|n| lower_case(n.text)).collect(),
        default: table.flag(&k::DEFAULT_SITE),
        routes: indexes,
    };
    (site, own.map(|name| (inherited, name)))
}

/// Host names are compared in lower case; regular expressions stay as they are.
pub(super) fn lower_case(name: &str) -> String {
    if name.starts_with('~') { name.to_owned() } else { name.to_lowercase() }
}

fn check_names(table: &Reader<'_>, names: &[Text<'_>], listen: &[SocketAddr], taken: &mut Taken) {
    let cx = table.cx;
    for name in names {
        if let Err(fault) = pattern::check_site_name(name.text) {
            note(cx, name.at, &name.path, fault);
        }
        if let Some(first) = put(taken.sites.entry(lower_case(name.text)).or_default(), name.at, listen) {
            let line = cx.position(first).0;
            cx.problem(name.at, &name.path, format!("a site named \"{}\" stands at line {line} already", name.text));
        }
    }
    if let Some(item) = table.own(&k::DEFAULT_SITE).filter(|_| table.flag(&k::DEFAULT_SITE))
        && let Some(first) = put(&mut taken.defaults, item.at(), listen)
    {
        let line = cx.position(first).0;
        cx.problem(item.at(), &item.path, format!("the site at line {line} is the default already"));
    }
}

/// `listen`: each is the address of a listener.
pub(super) fn listened(table: &Reader<'_>, addresses: &[SocketAddr], key: &Key) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for text in table.own_texts(key) {
        let address = text.text.parse().ok().filter(|address: &SocketAddr| addresses.contains(address));
        match address {
            Some(address) if address.port() == 0 => {
                let message = "the system chooses this listener's port, so that it cannot be named";
                table.cx.problem(text.at, &text.path, message);
            }
            Some(address) => found.push(address),
            None => {
                let all: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                let hint = suggest::hint(text.text, all.iter().map(String::as_str), "");
                table.cx.hinted(text.at, &text.path, format!("no listener has the address \"{}\"", text.text), hint);
            }
        }
    }
    found
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
