//! From a configuration to a snapshot: plugins are loaded, names become references.

use std::collections::HashMap;
use std::sync::Arc;

use super::{StartError, fetch};
use crate::config::{self, Config, Instances, PluginSource, Problem};
use crate::hook::{Chains, Hook, OnlyWith, Plugin, chain_of};
use crate::limit::{Limits, Zone, Zones};
use crate::observe::AccessLog;
use crate::plugin::{PluginError, Runtime, RuntimeSettings, Source, Spec, WAITING_CALLS};
use crate::snapshot::{Downstream, Route, Snapshot};
use crate::stock;
use crate::upstream::Upstream;

/// Make a configuration ready. Nothing that runs is touched. `before` are the zones in use:
/// what is counted by those that stay the same goes on.
///
/// # Errors
/// Every plugin that is refused, or the access log that cannot be opened.
pub(super) fn snapshot(
    config: &Config,
    runtime: &Arc<Runtime>,
    before: Option<&Zones>,
) -> Result<Snapshot, StartError> {
    let upstreams = upstreams(config);
    let plugins = plugins(config, &upstreams, runtime).map_err(StartError::Plugins)?;
    let at = |indexes: &[usize]| -> Vec<Arc<dyn Plugin>> {
        indexes.iter().filter_map(|i| plugins.get(*i)).map(Arc::clone).collect()
    };
    let zones: Zones = config
        .zones
        .iter()
        .map(|zone| {
            let before = before.and_then(|zones| zones.get(&zone.name));
            (Arc::clone(&zone.name), Arc::new(Zone::new(zone, before.map(|zone| &**zone))))
        })
        .collect();
    // For routes that only answer themselves; a router's own plugin may lead to one all the same.
    let nowhere = Arc::new(Upstream::new(&config::Upstream {
        name: "".into(),
        policy: config::Policy::RoundRobin,
        keepalive: 0,
        keepalive_timeout: std::time::Duration::ZERO,
        peers: Vec::new(),
    }));
    let route = |route: &config::Route| {
        Some(Arc::new(Route {
            name: Arc::clone(&route.name),
            site: Arc::clone(&route.site),
            upstream: Arc::clone(route.upstream.map_or(Some(&nowhere), |index| upstreams.get(index))?),
            chains: Chains::new(&at(&route.plugins)),
            pass_headers: route.pass_headers.clone().into(),
            timeouts: route.timeouts,
            upgrade: route.upgrade.clone(),
            half_close: route.half_close,
            limits: Limits::new(&route.limits, &zones),
            satisfy: route.satisfy,
        }))
    };
    let routes: HashMap<Arc<str>, Arc<Route>> =
        config.routes.iter().filter_map(route).map(|route| (Arc::clone(&route.name), route)).collect();
    Ok(Snapshot {
        routers: chain_of(&at(&config.routers), Hook::Router),
        routes,
        upstreams: upstreams.into_iter().map(|u| (Arc::clone(&u.name), u)).collect(),
        maps: Arc::clone(&config.maps),
        access_log: AccessLog::open(&config.access_log).map_err(StartError::AccessLog)?.map(Arc::new),
        real_ip: config.real_ip.clone(),
        zones,
        server_header: config.server.server_header.clone(),
        downstream: Downstream {
            header_timeout: config.server.header_timeout,
            keepalive_timeout: config.server.keepalive_timeout,
            max_head: config.server.max_head,
            max_connections: config.server.max_connections,
            max_client_connections: config.server.max_client_connections,
            max_line: config.server.max_line,
            body_timeout: config.server.body_timeout,
            send_timeout: config.server.send_timeout,
            keepalive_requests: config.server.keepalive_requests,
            keepalive_time: config.server.keepalive_time,
        },
    })
}

/// Try a configuration without serving it: load every plugin and let it read its config.
///
/// # Errors
/// As [`super::Server::start`], but for the listeners.
pub fn check(config: &Config) -> Result<(), StartError> {
    plugins(config, &upstreams(config), &runtime(config, 1)?).map(drop).map_err(StartError::Plugins)
}

fn upstreams(config: &Config) -> Vec<Arc<Upstream>> {
    config.upstreams.iter().map(|u| Arc::new(Upstream::new(u))).collect()
}

fn plugins(
    config: &Config,
    upstreams: &[Arc<Upstream>],
    runtime: &Arc<Runtime>,
) -> Result<Vec<Arc<dyn Plugin>>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut loaded = Vec::new();
    for plugin in &config.plugins {
        match runtime.load(&spec(plugin, upstreams)) {
            Ok(loaded_now) if plugin.response_with.is_empty() => loaded.push(loaded_now),
            Ok(loaded_now) => loaded.push(Arc::new(OnlyWith::new(loaded_now, plugin.response_with.clone()))),
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
    // Those that make requests have an instance for each call that waits.
    let waiting = config.plugins.iter().filter(|plugin| !plugin.grants.is_empty()).count();
    let wanted = (config.plugins.len() * 2 + waiting * WAITING_CALLS) * workers + SPARE;
    let wanted = wanted.min(MOST);
    Runtime::new(&RuntimeSettings {
        workers,
        cache_dir: config.server.cache_dir.clone(),
        instances: u32::try_from(wanted).unwrap_or(u32::MAX),
    })
}

fn spec(plugin: &config::Plugin, upstreams: &[Arc<Upstream>]) -> Spec {
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
        hooks: plugin.hooks,
        per_call: plugin.instances == Instances::PerCall,
        fetch: fetch::granted(&plugin.grants, upstreams),
    }
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
