//! `[plugins.NAME]`, and the list of plugins that chains refer to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::grants;
use super::kv::Kept;
use super::plugin_limits;
use super::upstream::Upstreams;
use crate::config::keys as k;
use crate::config::reader::{Named, Reader};
use crate::config::types::{Grant, Place, Plugin, PluginSource, Services, Spot};
use crate::config::{defaults, json, suggest};
use crate::hook::{Caps, Hook, HookSet, Isolation, OnFailure, Quarantine};

/// The plugins that are embedded in the binary.
pub(super) const STOCK: [&str; 12] = [
    "router",
    "header-map",
    "origin-check",
    "cors",
    "access-list",
    "auth-basic",
    "auth-jwt",
    "auth-request",
    "affinity",
    "rate-limit",
    "message-guard",
    "security-headers",
];

/// A plugin without the configuration of one use.
struct Definition {
    source: PluginSource,
    config: Map<String, Json>,
    place: Place,
    on_failure: OnFailure,
    deadline: Duration,
    memory: u64,
    caps: Caps,
    quarantine: Option<Quarantine>,
    hooks: Option<HookSet>,
    isolation: Isolation,
    restart_tunnels: bool,
    grants: Vec<Grant>,
    services: Services,
}

/// What the file's other keys say to a stock plugin.
pub(super) struct Generated {
    /// Its configuration.
    pub(super) config: Map<String, Json>,
    /// Where the configuration's parts stand.
    pub(super) spots: Vec<Spot>,
    /// The byte of the file where they begin.
    pub(super) at: usize,
    /// Their key path.
    pub(super) path: String,
    /// The hooks that have something to do; none for all.
    pub(super) hooks: Option<HookSet>,
    /// The headers of an answer without which hook `response-headers` has nothing to do;
    /// empty where it always has.
    pub(super) response_with: Vec<http::HeaderName>,
}

impl Generated {
    /// Whether a call may have a hash to work out that is slow on purpose: bcrypt (`$2…`) or
    /// `$apr1$`. The others take a microsecond.
    fn has_slow_hashes(&self) -> bool {
        self.config.get("users").and_then(Json::as_str).is_some_and(|users| users.contains(":$"))
    }
}

/// All of `[plugins.*]`, and the plugins made of them so far.
#[derive(Default)]
pub(super) struct Plugins {
    definitions: HashMap<String, Definition>,
    /// Names with a definition that is wrong: no reason for a second problem.
    broken: Vec<String>,
    pub(super) list: Vec<Plugin>,
}

impl Plugins {
    /// `[plugins.*]`.
    pub(super) fn read(root: &Reader<'_>, upstreams: &mut Upstreams, kept: &Kept) -> Self {
        let mut all = Self::default();
        for named in root.named(&k::PLUGINS) {
            match definition(&named, upstreams, kept) {
                Some(definition) => {
                    all.definitions.insert(named.name.to_owned(), definition);
                }
                None => all.broken.push(named.name.to_owned()),
            }
        }
        all
    }

    /// Whether some plugin is not a stock one.
    pub(super) fn has_foreign(&self) -> bool {
        !self.broken.is_empty() || self.definitions.values().any(|d| matches!(d.source, PluginSource::File(_)))
    }

    /// A plugin by its name in `[plugins.*]`, with its own configuration. `Err` is what to
    /// say of a name that is not there.
    pub(super) fn custom(
        &mut self,
        cx: &crate::config::Context,
        name: &str,
    ) -> Result<Option<usize>, (String, String)> {
        let Some(definition) = self.definitions.get(name) else {
            if self.broken.iter().any(|b| b == name) {
                return Ok(None);
            }
            let message = format!("no plugin named \"{name}\"");
            return Err((message, self.missing_hint(name)));
        };
        let place = Place { file: Arc::clone(&cx.file), ..definition.place.clone() };
        let plugin = plugin(name, definition, definition.config.clone(), place, definition.hooks);
        Ok(Some(self.share(plugin)))
    }

    fn missing_hint(&self, name: &str) -> String {
        let stock = name.strip_prefix("stock:").unwrap_or(name);
        let keys = match stock {
            "origin-check" => "the key `origins` asks for it",
            "cors" => "the key `cors` asks for it",
            "access-list" => "the key `access` asks for it",
            "auth-basic" => "the key `auth_basic` asks for it",
            "auth-request" => "the key `auth_request` asks for it",
            "header-map" => "it is in every chain that needs it",
            "security-headers" => "the key `security_headers` asks for it",
            "router" => "`routers` asks for it",
            "rate-limit" => {
                return "it needs to know how much is too much: [plugins.rate-limit] grants = [\"kv:STORE\"], config = { … }".into();
            }
            "affinity" => {
                return "it needs to know by what: [plugins.affinity] config = { by = { cookie = \"room\" } }".into();
            }
            "message-guard" => {
                return "it needs to know what to check: [plugins.message-guard] config = { to_upstream = { max_size = \
                        65536 } }"
                    .into();
            }
            _ => {
                let names: Vec<&str> = self.definitions.keys().map(String::as_str).collect();
                return suggest::hint(name, names.iter().copied(), &format!("define it in [plugins.{name}]"));
            }
        };
        format!("{keys}; with a configuration of its own: [plugins.NAME] component = \"stock:{stock}\"")
    }

    /// A stock plugin, or what `[plugins.*]` puts in its place, with the configuration
    /// made for it.
    pub(super) fn stock(&mut self, cx: &crate::config::Context, name: &str, made: Generated) -> usize {
        self.stock_granted(cx, name, made, Vec::new())
    }

    /// The same for one that makes requests of its own, with what the made configuration
    /// needs for that on top of its own `grants`.
    pub(super) fn stock_granted(
        &mut self,
        cx: &crate::config::Context,
        name: &str,
        made: Generated,
        grants: Vec<Grant>,
    ) -> usize {
        let own = self.definitions.get(name);
        let built_in;
        let definition = match own {
            Some(own) => own,
            None => {
                let quick = name == "auth-basic" && !made.has_slow_hashes();
                let stock = stock_definition(name);
                built_in = if quick { Definition { deadline: defaults::DEADLINE, ..stock } } else { stock };
                &built_in
            }
        };
        let mut plugin = generated(cx, name, definition, made);
        plugin.grants.extend(grants);
        self.share(plugin)
    }

    /// The stock router itself, whatever `[plugins.router]` says.
    pub(super) fn pure_stock(&mut self, cx: &crate::config::Context, name: &str, made: Generated) -> usize {
        self.share(generated(cx, name, &stock_definition(name), made))
    }

    /// The index of an equal plugin, or of this one, added. Where it stands does not make
    /// a difference.
    fn share(&mut self, plugin: Plugin) -> usize {
        if let Some(index) = self.list.iter().position(|p| equal(p, &plugin)) {
            return index;
        }
        self.list.push(plugin);
        self.list.len() - 1
    }
}

/// Whether two plugins differ in nothing but their place.
fn equal(a: &Plugin, b: &Plugin) -> bool {
    let Plugin {
        name,
        source,
        config,
        on_failure,
        deadline,
        memory,
        caps,
        quarantine,
        hooks,
        isolation,
        restart_tunnels,
        response_with,
        grants,
        services,
        place: _,
    } = a;
    name == &b.name
        && source == &b.source
        && config == &b.config
        && on_failure == &b.on_failure
        && deadline == &b.deadline
        && memory == &b.memory
        && caps == &b.caps
        && quarantine == &b.quarantine
        && hooks == &b.hooks
        && isolation == &b.isolation
        && restart_tunnels == &b.restart_tunnels
        && response_with == &b.response_with
        && grants == &b.grants
        && services == &b.services
}

fn generated(cx: &crate::config::Context, name: &str, definition: &Definition, made: Generated) -> Plugin {
    // Somebody's own component with a configuration of its own is given that alone: what is
    // made for the stock one would be unknown keys to it.
    if matches!(definition.source, PluginSource::File(_)) && !definition.config.is_empty() {
        let place = Place { file: Arc::clone(&cx.file), ..definition.place.clone() };
        return plugin(name, definition, definition.config.clone(), place, definition.hooks);
    }
    let mut config = made.config;
    let mut spots = definition.place.pointers.clone();
    config.extend(definition.config.clone());
    spots.extend(made.spots);
    let (line, column) = cx.position(made.at);
    let place = Place { file: Arc::clone(&cx.file), line, column, path: made.path, pointers: spots };
    let hooks = match (definition.hooks, made.hooks) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (a, b) => a.or(b),
    };
    // Somebody's own component may want to see every answer.
    let is_stock = matches!(definition.source, PluginSource::Stock(_)) && definition.config.is_empty();
    let response_with = if is_stock { made.response_with } else { Vec::new() };
    Plugin { response_with, ..plugin(name, definition, config, place, hooks) }
}

fn plugin(
    name: &str,
    definition: &Definition,
    config: Map<String, Json>,
    place: Place,
    hooks: Option<HookSet>,
) -> Plugin {
    Plugin {
        name: name.into(),
        source: definition.source.clone(),
        config: Json::Object(config).to_string().into(),
        on_failure: definition.on_failure,
        deadline: definition.deadline,
        memory: definition.memory,
        caps: definition.caps,
        quarantine: definition.quarantine,
        hooks,
        isolation: definition.isolation,
        restart_tunnels: definition.restart_tunnels,
        response_with: Vec::new(),
        grants: definition.grants.clone(),
        services: definition.services.clone(),
        place,
    }
}

/// A stock plugin that the file says nothing about.
fn stock_definition(name: &str) -> Definition {
    Definition {
        source: PluginSource::Stock(name.to_owned()),
        config: Map::new(),
        place: Place::default(),
        on_failure: OnFailure::default(),
        deadline: match name {
            "auth-basic" => defaults::DEADLINE_AUTH_BASIC,
            "auth-jwt" => defaults::DEADLINE_AUTH_JWT,
            "auth-request" => defaults::DEADLINE_AUTH_REQUEST,
            _ => defaults::DEADLINE,
        },
        memory: defaults::MEMORY,
        caps: plugin_limits::default_caps(),
        quarantine: Some(plugin_limits::default_quarantine()),
        hooks: None,
        isolation: Isolation::default(),
        restart_tunnels: false,
        grants: Vec::new(),
        services: Services::default(),
    }
}

fn definition(named: &Named<'_, Reader<'_>>, upstreams: &mut Upstreams, kept: &Kept) -> Option<Definition> {
    let table = &named.value;
    let source = source(named);
    // Problems of both are told at once.
    let (grants, services) = grants::read(table, named.name, upstreams, kept);
    let source = source?;
    let stock = stock_definition(match &source {
        PluginSource::Stock(name) => name,
        PluginSource::File(_) => named.name,
    });
    // It has to outlast what a store may take, which says itself when it gives up.
    let deadline =
        if kept.has_redis(&services) { stock.deadline.max(defaults::DEADLINE_REDIS) } else { stock.deadline };
    let mut place = Place { path: table.path.clone(), ..Place::default() };
    (place.line, place.column) = table.cx.position(table.at);
    let config = table.own(&k::CONFIG).and_then(|item| {
        let object = json::object(table.cx, item.node.table()?, &item.path, "", &mut place.pointers);
        Some(object)
    });
    Some(Definition {
        source,
        config: config.unwrap_or_default(),
        place,
        on_failure: if table.text(&k::ON_FAILURE) == Some("open") { OnFailure::Open } else { OnFailure::Closed },
        deadline: table.duration(&k::DEADLINE).unwrap_or(deadline),
        memory: table.size(&k::MEMORY).unwrap_or(stock.memory),
        caps: plugin_limits::caps(table),
        quarantine: plugin_limits::quarantine(table),
        hooks: hooks(table),
        grants,
        services,
        restart_tunnels: table.text(&k::TUNNELS_ON_RELOAD) == Some("restart"),
        isolation: if table.text(&k::ISOLATION) == Some("request") { Isolation::Request } else { Isolation::Worker },
    })
}

/// `component`: a file that is there, or a stock plugin.
fn source(named: &Named<'_, Reader<'_>>) -> Option<PluginSource> {
    let table = &named.value;
    let Some(text) = table.placed(&k::COMPONENT) else {
        if STOCK.contains(&named.name) {
            return Some(PluginSource::Stock(named.name.to_owned()));
        }
        if table.own(&k::COMPONENT).is_none() {
            let hint = "a file, or \"stock:NAME\"";
            table.cx.hinted(table.at, &table.path_of(&k::COMPONENT), "is missing", hint);
        }
        return None;
    };
    if text.text.is_empty() {
        return None;
    }
    if let Some(stock) = text.text.strip_prefix("stock:") {
        if STOCK.contains(&stock) {
            return Some(PluginSource::Stock(stock.to_owned()));
        }
        let hint = suggest::hint(stock, STOCK, "");
        table.cx.hinted(text.at, &text.path, format!("there is no stock plugin \"{stock}\""), hint);
        return None;
    }
    if text.text.contains("://") {
        let message = format!("\"{}\": components from a registry are not supported yet", text.text);
        table.cx.hinted(text.at, &text.path, message, "there are files, and \"stock:NAME\"");
        return None;
    }
    let path = table.cx.path(text.text);
    if !path.is_file() {
        table.cx.problem(text.at, &text.path, format!("no file {}", path.display()));
        return None;
    }
    Some(PluginSource::File(path))
}

fn hooks(table: &Reader<'_>) -> Option<HookSet> {
    let texts = table.texts(&k::HOOKS)?;
    let mut set = HookSet::default();
    for text in &texts {
        match Hook::ALL.into_iter().find(|h| h.name() == text.text) {
            Some(hook) => set = set.with(hook),
            None => {
                let hint = suggest::hint(text.text, Hook::ALL.map(Hook::name), "");
                table.cx.hinted(text.at, &text.path, format!("no hook named \"{}\"", text.text), hint);
            }
        }
    }
    Some(set)
}
