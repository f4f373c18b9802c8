//! The second pass: from tables to the resolved types. Every part reports what it finds
//! wrong and goes on as well as it can; the result counts only if nothing was found.

mod access;
mod acme;
mod bodies;
mod content;
mod fetch;
mod grants;
mod headers;
mod http3;
mod kv;
mod limits;
mod logs;
mod maps;
mod plugin;
mod plugin_limits;
mod resolver;
mod retry;
mod route;
mod router;
mod secure;
mod server;
mod site;
mod stock;
mod stream;
mod tcp;
mod tls;
mod upstream;
mod upstream_values;

pub use server::user_cache;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::context::Context;
use super::keys as k;
use super::pattern::{self, Fault, Match};
use super::reader::{Reader, Text};
use super::suggest;
use super::types::{AccessLog, Config, Route, Zone};
use super::variables::Variables;
use plugin::Plugins;
use router::RouterTable;
use upstream::Upstreams;

/// What has been made so far.
struct Build<'a> {
    upstreams: Upstreams,
    plugins: Plugins,
    maps: Vec<maps::Map<'a>>,
    formats: logs::Formats,
    /// Those of the top level.
    access_logs: Arc<[AccessLog]>,
    variables: Variables,
    zones: Vec<Zone>,
    router: RouterTable,
    routes: Vec<Route>,
    /// Names of the routes that are found by name alone: by the key path of their site and `@NAME`.
    named: HashMap<(String, String), String>,
    /// Where clients connect.
    addresses: Vec<SocketAddr>,
    /// Those of them that speak TLS.
    secure: Vec<SocketAddr>,
    /// What each site says of TLS.
    tls: Vec<tls::SiteTls>,
    /// The certificates that are ordered.
    acme: acme::Orders,
}

/// Make the configuration. It is whole only if `root.cx` has no problems afterwards.
pub(super) fn resolve(root: &Reader<'_>) -> Config {
    let mut upstreams = Upstreams::read(root);
    let kept = kv::read(root);
    let mut plugins = Plugins::read(root, &mut upstreams, &kept);
    upstreams.take_balancers(root, &mut plugins);
    let maps = maps::read(root);
    let mut defined = captures(root);
    defined.extend(maps.iter().map(|m| m.name.to_owned()));
    if !defined.iter().any(|name| name == maps::CONNECTION_UPGRADE) {
        defined.push(maps::CONNECTION_UPGRADE.to_owned());
    }
    let variables = Variables { defined, open: plugins.has_foreign() };
    maps::check(&maps, &variables);
    Upstreams::check(root, &variables);
    let formats = logs::formats(root, &variables);
    let access_logs = logs::access_logs(root, &formats, &variables, &Arc::default());
    let mut listeners = server::listeners(root);
    let zones = limits::zones(root, &variables);
    let secure = secure::listeners(root);
    let mut build = Build {
        upstreams,
        plugins,
        maps,
        formats,
        access_logs,
        variables,
        zones,
        router: RouterTable::new(secure.clone()),
        secure,
        routes: Vec::new(),
        named: HashMap::new(),
        tls: Vec::new(),
        acme: acme::Orders::read(root),
        addresses: listeners.iter().map(|listener| listener.address).collect(),
    };
    let sites = site::sites(root, &mut build);
    let streams = stream::streams(root, &mut build, &mut listeners);
    tls::attach(root, &mut listeners, &build.tls, &mut build.acme);
    // Without sites nobody is routed; a list that stands there is read all the same.
    let unused = sites.is_empty() && root.own(&k::ROUTERS).is_none();
    let routers = if unused { Vec::new() } else { routers(root, &mut build) };
    let acme = build.acme.finish(root, &listeners);
    Config {
        server: server::settings(root),
        debug_clients: server::debug_clients(root),
        access_logs: build.access_logs,
        admin: server::admin(root),
        resolver: Arc::new(resolver::resolver(root)),
        real_ip: access::real_ip(root),
        kv: kept.stores,
        zones: build.zones,
        acme,
        listeners,
        upstreams: build.upstreams.list,
        plugins: build.plugins.list,
        routers,
        streams,
        sites,
        routes: build.routes,
        maps: Arc::new(maps::compile(&build.maps)),
    }
}

/// `routers`: only `router` and `stock:router` are told the sites; others have their own
/// configuration.
fn routers(root: &Reader<'_>, build: &mut Build<'_>) -> Vec<usize> {
    let Some(texts) = root.texts(&k::ROUTERS) else {
        let made = build.router.generate(root);
        return vec![build.plugins.stock(root.cx, "router", made)];
    };
    if let Some(list) = root.own(&k::ROUTERS).filter(|l| l.node.is_empty_list()) {
        root.cx.hinted(
            list.at(),
            &list.path,
            "an empty list would find no route",
            "leave it out, or write [\"router\"]",
        );
    }
    let mut indexes: Vec<usize> = Vec::new();
    for text in &texts {
        let Some(index) = router(root, build, text) else { continue };
        if indexes.contains(&index) {
            root.cx.problem(text.at, &text.path, format!("router \"{}\" is in this list already", text.text));
        } else {
            indexes.push(index);
        }
    }
    indexes
}

fn router(root: &Reader<'_>, build: &mut Build<'_>, text: &Text<'_>) -> Option<usize> {
    let made = build.router.generate(root);
    match text.text {
        "router" => Some(build.plugins.stock(root.cx, "router", made)),
        "stock:router" => Some(build.plugins.pure_stock(root.cx, "router", made)),
        name => match build.plugins.custom(root.cx, name) {
            Ok(index) => index,
            Err((message, hint)) => {
                let near = suggest::nearest(name, ["router", "stock:router"]);
                let hint = near.map_or(hint, |near| format!("did you mean \"{near}\"?"));
                root.cx.hinted(text.at, &text.path, message, hint);
                None
            }
        },
    }
}

/// The named captures of all sites', routes' and rules' regular expressions, and what
/// `auth_request` names: variables of the requests that match.
fn captures(root: &Reader<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for site in root.tables(&k::SITES) {
        fetch::variables_of(&site, &mut found);
        for name in site.own_texts(&k::NAMES) {
            if let Some(Ok(regex)) = pattern::site_regex(name.text) {
                take_names(&regex, &mut found);
            }
        }
        take_captures(&site, &mut found);
    }
    found
}

/// Those of a site's or route's rules, and of the routes in it.
fn take_captures(table: &Reader<'_>, found: &mut Vec<String>) {
    for rule in table.tables(&k::REWRITES) {
        if let Some(Ok(regex)) = rule.text(&k::REWRITE_MATCH).map(|text| pattern::regex(text, false)) {
            take_names(&regex, found);
        }
    }
    for route in table.tables(&k::ROUTES) {
        fetch::variables_of(&route, found);
        if let Some(Ok(Match::Regex(regex))) = route.text(&k::MATCH).map(pattern::parse_match) {
            take_names(&regex, found);
        }
        take_captures(&route, found);
    }
}

fn take_names(regex: &regex_lite::Regex, found: &mut Vec<String>) {
    found.extend(regex.capture_names().flatten().map(str::to_owned));
}

/// Report what is wrong with a text.
fn note(cx: &Context, at: usize, path: &str, fault: Fault) {
    match fault.hint {
        Some(hint) => cx.hinted(at, path, fault.message, hint),
        None => cx.problem(at, path, fault.message),
    }
}
