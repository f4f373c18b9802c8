//! From a configuration to a snapshot: plugins are loaded, names become references.

use std::collections::HashMap;
use std::sync::Arc;

use super::{StartError, fetch};
use crate::config::{self, Config, PluginSource, Problem};
use crate::hook::{Chains, Hook, Isolation, KvGrant, Maps, OnlyWith, Plugin, chain_of};
use crate::kv::{Store, Stores};
use crate::limit::{Limits, Zone, Zones};
use crate::observe::{LogFiles, Logs, Subject, Tallies, level};
use crate::plugin::{PluginError, Runtime, RuntimeSettings, Source, Spec, WAITING_CALLS};
use crate::snapshot::{Downstream, Route, Snapshot};
use crate::stock;
use crate::upstream::{self, Shared, Upstream};

/// Make a configuration ready. Nothing that runs is touched. `before` is what is in use:
/// what is counted by zones that stay the same goes on, and so does what stores hold.
///
/// # Errors
/// Every name without an answer and every plugin that is refused, or the access log that cannot be opened.
pub(super) fn snapshot(
    config: &Config,
    runtime: &Arc<Runtime>,
    files: &Arc<LogFiles>,
    shared: &Shared,
    before: Option<&Snapshot>,
) -> Result<Snapshot, StartError> {
    if !config.debug_clients.is_empty() || config.routes.iter().any(|route| route.log_level.is_some()) {
        level::activate();
    }
    let shared = &Shared { resolver: Arc::clone(&config.resolver), ..shared.clone() };
    let stores = Stores::new(&config.kv, before.map(|before| &before.stores));
    let (upstreams, plugins, balancers) = ready(config, shared, &stores, runtime)?;
    let at = |indexes: &[usize]| -> Vec<Arc<dyn Plugin>> {
        indexes.iter().filter_map(|i| plugins.get(*i)).map(Arc::clone).collect()
    };
    let zones = zones(config, before.map(|before| &before.zones));
    // For routes that only answer themselves; a router's own plugin may lead to one all the same.
    let nowhere = Arc::new(Upstream::new(&nowhere(), shared));
    let mut opened = Opened { files, maps: &config.maps, logs: Vec::new() };
    let logs = opened.logs(&config.access_logs)?;
    let mut routes = HashMap::with_capacity(config.routes.len());
    for route in &config.routes {
        let Some(upstream) = route.upstream.map_or(Some(&nowhere), |index| upstreams.get(index)) else { continue };
        let made = Route {
            name: Arc::clone(&route.name),
            site: Arc::clone(&route.site),
            tally: shared.tallies.of(Subject::Site(Arc::clone(&route.site))),
            upstream: Arc::clone(upstream),
            handler: route.handler.and_then(|index| plugins.get(index)).map(Arc::clone),
            chains: Chains::new(&at(&route.plugins)),
            pass_headers: route.pass_headers.clone().into(),
            logs: opened.logs(&route.access_logs)?,
            log_level: route.log_level,
            timeouts: route.timeouts,
            next_upstream: route.next_upstream,
            upgrade: route.upgrade.clone(),
            half_close: route.half_close,
            messages: route.messages,
            bodies: route.bodies,
            access: route.access,
            limits: Limits::new(&route.limits, &zones),
            client_auth: route.client_auth.clone(),
            satisfy: route.satisfy,
            content: route.content.clone(),
        };
        routes.insert(Arc::clone(&route.name), Arc::new(made));
    }
    Ok(Snapshot {
        routers: chain_of(&at(&config.routers), Hook::Router),
        routes,
        upstreams: upstreams.into_iter().map(|u| (Arc::clone(&u.name), u)).collect(),
        balancers,
        isolates: config.plugins.iter().any(|plugin| plugin.isolation == Isolation::Request),
        maps: Arc::clone(&config.maps),
        logs,
        debug_clients: config.debug_clients.clone(),
        real_ip: config.real_ip.clone(),
        zones,
        stores,
        server_header: config.server.server_header.clone(),
        downstream: Downstream {
            header_timeout: config.server.header_timeout,
            keepalive_timeout: config.server.keepalive_timeout,
            max_head: config.server.max_head,
            max_line: config.server.max_line,
            body_timeout: config.server.body_timeout,
            send_timeout: config.server.send_timeout,
            keepalive_requests: config.server.keepalive_requests,
            keepalive_time: config.server.keepalive_time,
            max_connections: config.server.max_connections,
            max_client_connections: config.server.max_client_connections,
            max_streams: config.server.max_streams,
        },
    })
}

/// The access logs that are open: routes with the same list share them.
struct Opened<'a> {
    files: &'a Arc<LogFiles>,
    maps: &'a Arc<Maps>,
    logs: Vec<(List, Option<Arc<Logs>>)>,
}

/// What a configuration says of the access logs of a route.
type List = Arc<[config::AccessLog]>;

impl Opened<'_> {
    fn logs(&mut self, wanted: &List) -> Result<Option<Arc<Logs>>, StartError> {
        if let Some((_, logs)) = self.logs.iter().find(|(list, _)| Arc::ptr_eq(list, wanted)) {
            return Ok(logs.clone());
        }
        let logs = Logs::open(wanted, self.files, self.maps).map_err(StartError::AccessLog)?;
        self.logs.push((Arc::clone(wanted), logs.clone()));
        Ok(logs)
    }
}

/// The zones of a configuration. What is counted by those that stay the same goes on.
fn zones(config: &Config, before: Option<&Zones>) -> Zones {
    let made = |zone: &config::Zone| {
        let before = before.and_then(|zones| zones.get(&zone.name));
        (Arc::clone(&zone.name), Arc::new(Zone::new(zone, before.map(|zone| &**zone))))
    };
    config.zones.iter().map(made).collect()
}

/// The upstream of routes that only answer themselves.
fn nowhere() -> config::Upstream {
    config::Upstream {
        name: "".into(),
        policy: config::Policy::RoundRobin,
        sticky: None,
        keepalive: 0,
        keepalive_timeout: std::time::Duration::ZERO,
        protocol: config::Protocol::H1,
        ping: std::time::Duration::ZERO,
        admission: None,
        balancer: None,
        keepalive_requests: 0,
        keepalive_time: std::time::Duration::ZERO,
        peers: Vec::new(),
    }
}

/// What upstreams share, with nothing known yet.
pub(super) fn shared(config: &Config, tallies: Arc<Tallies>) -> Shared {
    Shared {
        tallies,
        known: Arc::default(),
        names: Arc::default(),
        gates: Arc::default(),
        resolver: Arc::clone(&config.resolver),
    }
}

/// Try a configuration without serving it: look up every name, load every plugin and let it
/// read its config.
///
/// # Errors
/// As [`super::Server::start`], but for the listeners.
pub fn check(config: &Config) -> Result<(), StartError> {
    let stores = Stores::new(&config.kv, None);
    ready(config, &shared(config, Arc::default()), &stores, &runtime(config, 1)?).map(drop)
}

/// The plugins that choose peers, by upstream; what is named as a balancer or handler must be one.
fn balancers(config: &Config, plugins: &[Arc<dyn Plugin>]) -> Result<Balancers, Vec<Problem>> {
    let (mut found, mut problems) = (HashMap::new(), Vec::new());
    for upstream in &config.upstreams {
        let chosen = upstream.balancer.and_then(|index| Some((config.plugins.get(index)?, plugins.get(index)?)));
        match chosen {
            Some((_, plugin)) if plugin.hooks().contains(Hook::Balancer) => {
                found.insert(Arc::clone(&upstream.name), Arc::clone(plugin));
            }
            Some((config, _)) => {
                let what =
                    format!("upstream `{}` names it as its balancer: it does not serve that hook", upstream.name);
                problems.push(Problem::at_plugin(config, &what));
            }
            None => {}
        }
    }
    for (route, index) in config.routes.iter().filter_map(|route| Some((route, route.handler?))) {
        let Some((config, plugin)) = config.plugins.get(index).zip(plugins.get(index)) else { continue };
        if !plugin.hooks().contains(Hook::Handler) {
            let what = format!(
                "route `{}` names it as its handler: it does not export `wasi:http/incoming-handler@0.2`",
                route.name
            );
            problems.push(Problem::at_plugin(config, &what));
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The upstreams and plugins of a configuration; all that is wrong with them at once.
fn ready(config: &Config, shared: &Shared, stores: &Stores, runtime: &Arc<Runtime>) -> Result<Ready, StartError> {
    // What is known of names is held by the upstreams, so they come first and follow after.
    let upstreams: Vec<_> = config.upstreams.iter().map(|u| Arc::new(Upstream::new(u, shared))).collect();
    let mut problems = upstream::problems(&config.upstreams, shared);
    upstreams.iter().for_each(|upstream| upstream.follow());
    match plugins(config, &upstreams, stores, runtime).and_then(|plugins| Ok((balancers(config, &plugins)?, plugins))) {
        Ok((balancers, plugins)) if problems.is_empty() => return Ok((upstreams, plugins, balancers)),
        Ok(_) => {}
        Err(refused) => problems.extend(refused),
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Err(StartError::Refused(problems))
}

/// Upstreams and plugins, in the order of the configuration, and who balances which.
type Ready = (Vec<Arc<Upstream>>, Vec<Arc<dyn Plugin>>, Balancers);

/// Plugins that choose peers, by upstream.
type Balancers = HashMap<Arc<str>, Arc<dyn Plugin>>;

fn plugins(
    config: &Config,
    upstreams: &[Arc<Upstream>],
    stores: &Stores,
    runtime: &Arc<Runtime>,
) -> Result<Vec<Arc<dyn Plugin>>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut loaded = Vec::new();
    for plugin in &config.plugins {
        match runtime.load(&spec(plugin, upstreams, stores)) {
            Ok(loaded_now) if plugin.response_with.is_empty() => loaded.push(loaded_now),
            Ok(loaded_now) => loaded.push(Arc::new(OnlyWith::new(loaded_now, plugin.response_with.clone()))),
            // Each with its own place.
            Err(PluginError::Schema(misfits)) => {
                problems.extend(misfits.iter().map(|misfit| Problem::at_plugin(plugin, &misfit.to_string())));
            }
            Err(error) => problems.push(problem(plugin, &error)),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

/// A plugin runtime large enough for a configuration, and for several reloads beside it.
///
/// # Errors
/// Where there is not enough address space.
pub(super) fn runtime(config: &Config, workers: usize) -> Result<Arc<Runtime>, PluginError> {
    /// Room for old instances that finish, and plugins of later reloads.
    const SPARE: usize = 500;
    /// Each reserves 4 GiB of address space, of which a process has 128 TiB.
    const MOST: usize = 8000;
    // Those that wait have an instance for each call that does, others one for each request.
    let many = |plugin: &&config::Plugin| {
        !plugin.grants.is_empty() || !plugin.services.kv.is_empty() || plugin.isolation == Isolation::Request
    };
    let waiting = config.plugins.iter().filter(many).count();
    let wanted = (config.plugins.len() * 2 + waiting * WAITING_CALLS) * workers + SPARE;
    let wanted = wanted.min(MOST);
    Runtime::new(&RuntimeSettings {
        workers,
        cache_dir: config.server.cache_dir.clone(),
        stack: config.server.plugin_stack,
        instances: u32::try_from(wanted).unwrap_or(u32::MAX),
    })
}

fn spec(plugin: &config::Plugin, upstreams: &[Arc<Upstream>], stores: &Stores) -> Spec {
    let source = match &plugin.source {
        PluginSource::File(path) => Source::File(path.clone()),
        // A name that is none was refused when the configuration was read.
        PluginSource::Stock(name) => Source::Bytes(stock::component(name).unwrap_or_default()),
    };
    Spec {
        name: Arc::clone(&plugin.name),
        source,
        config: plugin.config.expose().to_owned(),
        on_failure: plugin.on_failure,
        deadline: plugin.deadline,
        memory: plugin.memory,
        caps: plugin.caps,
        quarantine: plugin.quarantine,
        hooks: plugin.hooks,
        restart_tunnels: plugin.restart_tunnels,
        isolation: plugin.isolation,
        fetch: fetch::granted(plugin, upstreams),
        kv: plugin.services.kv.iter().filter_map(|granted| kv(granted, stores)).collect(),
        secrets: plugin.services.secrets.iter().map(|(name, text)| (Arc::clone(name), text.expose().into())).collect(),
        environment: plugin.services.environment.iter().map(|(n, v)| (n.clone(), v.expose().to_owned())).collect(),
        stage: None,
    }
}

fn kv(granted: &config::KvGranted, stores: &Stores) -> Option<KvGrant> {
    let store: Arc<Store> = Arc::clone(stores.get(granted.store)?);
    Some(KvGrant { name: Arc::clone(&granted.name), prefix: Arc::clone(&granted.prefix), store })
}

fn problem(plugin: &config::Plugin, error: &PluginError) -> Problem {
    match (error, &plugin.source) {
        // It is about the component, so it says which.
        (PluginError::Configure { .. } | PluginError::Io { .. }, _) | (_, PluginSource::Stock(_)) => {
            Problem::at_plugin(plugin, &error.to_string())
        }
        (_, PluginSource::File(path)) => Problem::at_plugin(plugin, &format!("{}: {error}", path.display())),
    }
}
