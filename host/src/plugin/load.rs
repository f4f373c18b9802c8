//! From a file or embedded bytes to something that can be instantiated.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::abi::v0_1::hooks::{Exports, version_of};
use super::abi::v0_1::{PACKAGE, VERSION};
use super::error::PluginError;
use super::imports::{Linkers, SERVICES};
use super::instance::Ctx;
use super::lane::{self, Lane};
use super::schema::Schema;
use super::stage::Stage;
use super::start::Prepared;
use crate::hook::{Caps, Fetch, Hook, HookSet, Isolation, KvGrant, OnFailure, Quarantine};

/// The largest component that is read, bytes: JavaScript and Python ones have 2 to 18 MiB.
const LARGEST: u64 = 40 << 20;

/// A plugin to load.
#[derive(Clone)]
pub struct Spec {
    /// Its name in the configuration: the tag of its log lines and metrics.
    pub name: Arc<str>,
    /// Where the component is.
    pub source: Source,
    /// Its configuration: a JSON object. May hold secrets: never logged.
    pub config: String,
    /// What its failures mean; the runtime only hands it on.
    pub on_failure: OnFailure,
    /// The longest that one call may run or wait; kept to 10 ms (two ticks). Above 20 ms
    /// the plugin runs on a fiber.
    pub deadline: Duration,
    /// The most linear memory of one instance, bytes; at most 512 MiB.
    pub memory: u64,
    /// What else it may use.
    pub caps: Caps,
    /// When it is left alone for a while; none for never.
    pub quarantine: Option<Quarantine>,
    /// Only these of its hooks; none for all.
    pub hooks: Option<HookSet>,
    /// Whether open tunnels move to a newer version of the plugin when that is taken into use.
    pub restart_tunnels: bool,
    /// Who shares an instance.
    pub isolation: Isolation,
    /// Sends the requests that it makes itself; none where it is granted no destination.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// The stores that it may use.
    pub kv: Vec<KvGrant>,
    /// The secrets that it may read, by name.
    pub secrets: Vec<(Arc<str>, Arc<str>)>,
    /// Its environment: names and values.
    pub environment: Vec<(String, String)>,
    /// In place of the log and the clock, for tools; none in a proxy.
    pub stage: Option<Arc<Stage>>,
}

/// Where a component comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Bytes in memory: a stock plugin.
    Bytes(&'static [u8]),
    /// One that is compiled already.
    Ready(Prepared),
}

/// What `tidegate plugin inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The hooks that it exports.
    pub hooks: HookSet,
    /// Whether it wants its configuration through `lifecycle.configure`.
    pub configurable: bool,
    /// Whether it says what its configuration looks like.
    pub has_schema: bool,
    /// Linear memory that an instance begins with, bytes; none where that is not known.
    pub memory: Option<u64>,
    /// Interfaces of ours that it exports and this version does not know: later hooks of the
    /// same contract, which will not be called.
    pub unknown_hooks: Vec<String>,
    /// What it imports from Tidegate: `tidegate:plugin/log@0.1.0`.
    pub services: Vec<String>,
    /// What it imports from WASI.
    pub wasi: Vec<String>,
    /// Everything else that it imports.
    pub others: Vec<String>,
    /// The version of the contract that it was built for: `0.1.0`.
    pub contract: String,
    /// Its size, bytes.
    pub size: usize,
    /// How it is called where its deadline is 20 ms or less.
    pub lane: Lane,
}

impl Inspection {
    /// Whether it imports our interface of this name.
    pub(super) fn imports(&self, interface: &str) -> bool {
        self.services.iter().any(|import| is_ours(import, interface))
    }

    /// Tell of services that it imports and is not granted. It may well do without: some
    /// toolchains import all that there is, so this is no error before it asks.
    pub(super) fn warn_of_missing_grants(&self, spec: &Spec) {
        let missing = [
            ("http-client", spec.fetch.is_none(), "http-client:upstream:NAME"),
            ("kv", spec.kv.is_empty(), "kv:STORE"),
            ("secrets", spec.secrets.is_empty(), "secret:NAME"),
        ];
        for (service, _, grant) in missing.into_iter().filter(|(s, missing, _)| *missing && self.imports(s)) {
            let plugin = &*spec.name;
            tracing::info!(plugin, service, "it imports this and is granted none of it: {}", denial(plugin, grant));
        }
    }
}

/// What to do about a missing grant.
pub(super) fn denial(plugin: &str, grant: &str) -> String {
    format!("grant it with `grants = [\"{grant}\"]` in [plugins.{plugin}]")
}

/// A component that is ready to be instantiated, for any configuration.
pub(super) struct Compiled {
    pub(super) pre: InstancePre<Ctx>,
    pub(super) exports: Exports,
    pub(super) inspection: Inspection,
    /// The schema of its configuration, once it was asked for.
    pub(super) schema: OnceLock<Option<Schema>>,
}

impl Compiled {
    /// Whether it imports something that can wait.
    pub(super) fn waits(&self) -> bool {
        self.inspection.lane == Lane::Fiber
    }
}

impl Source {
    /// Read the component.
    ///
    /// # Errors
    /// [`PluginError::Io`], [`PluginError::TooLarge`].
    pub(super) fn read(&self) -> Result<std::borrow::Cow<'static, [u8]>, PluginError> {
        match self {
            Self::Bytes(bytes) => Ok((*bytes).into()),
            // Nobody reads what is compiled.
            Self::Ready(_) => Ok((&[]).into()),
            Self::File(path) => {
                let io = |error| PluginError::Io { path: path.clone(), error };
                let size = fs::metadata(path).map_err(io)?.len();
                if size > LARGEST {
                    return Err(PluginError::TooLarge { size, most: LARGEST });
                }
                Ok(fs::read(path).map_err(io)?.into())
            }
        }
    }
}

/// Compile a component.
///
/// # Errors
/// [`PluginError::NotWasm`], [`PluginError::NotAComponent`], [`PluginError::AsyncAbi`],
/// [`PluginError::Compile`], [`PluginError::TooLarge`].
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, PluginError> {
    /// Version 13 of layer 1: the component format of the component model's first release.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > LARGEST {
        return Err(PluginError::TooLarge { size, most: LARGEST });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(PluginError::NotWasm);
    }
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(PluginError::NotAComponent);
    }
    if !bytes.starts_with(COMPONENT) {
        return Err(PluginError::Compile { detail: "its binary format is of another version".into() });
    }
    Component::from_binary(engine, bytes).map_err(|error| {
        let detail = format!("{error:#}");
        // wasmparser has no type for this; its text names the feature.
        if detail.contains("component model async") {
            return PluginError::AsyncAbi { detail };
        }
        PluginError::Compile { detail }
    })
}

/// Find a component's hooks, and link what it imports.
///
/// # Errors
/// What [`Exports::of`] says, [`PluginError::MissingImport`].
pub(super) fn link(
    linkers: &Linkers,
    component: &Component,
    size: usize,
    kv_waits: bool,
) -> Result<Compiled, PluginError> {
    let linker = linkers.of(kv_waits);
    let engine = linker.engine();
    let exports = Exports::of(engine, component)?;
    let mut inspection = inspect(engine, component, &exports, size);
    if kv_waits && inspection.imports("kv") {
        inspection.lane = Lane::Fiber;
    }
    if let Some(import) = inspection.others.first() {
        return Err(PluginError::MissingImport {
            import: import.clone(),
            detail: "it is neither ours nor WASI's".into(),
        });
    }
    let known = |service: &&String| SERVICES.iter().any(|s| is_ours(service, s));
    if let Some(import) = inspection.services.iter().find(|s| !known(s)) {
        let detail = format!("this version has {}", SERVICES.join(", "));
        return Err(PluginError::MissingImport { import: import.clone(), detail });
    }
    let pre = pre(linker, component, &inspection).map_err(|error| {
        let detail = format!("{error:#}");
        let import = detail.split('`').nth(1).unwrap_or_default().to_owned();
        PluginError::MissingImport { import, detail }
    })?;
    Ok(Compiled { pre, exports, inspection, schema: OnceLock::new() })
}

fn pre(linker: &Linker<Ctx>, component: &Component, inspection: &Inspection) -> wasmtime::Result<InstancePre<Ctx>> {
    let pre = linker.instantiate_pre(component);
    if pre.is_ok() || !inspection.wasi.iter().any(|import| import.starts_with("wasi:http/")) {
        return pre;
    }
    // The JavaScript and Python toolchains import wasi:http even where the plugin never uses it: what
    // of it is not offered traps when called. Only then, since the engine does not see that another
    // 0.2 of an interface is there, and would put traps in its place.
    let mut linker = linker.clone();
    linker.define_unknown_imports_as_traps(component)?;
    linker.instantiate_pre(component)
}

/// Whether `name` is our interface `interface`, in a version that we have.
fn is_ours(name: &str, interface: &str) -> bool {
    let version = name.strip_prefix(PACKAGE).and_then(|n| n.strip_prefix('/')).and_then(|n| n.strip_prefix(interface));
    version.is_some_and(|v| v.starts_with("@0.1."))
}

fn inspect(engine: &Engine, component: &Component, exports: &Exports, size: usize) -> Inspection {
    let ty = component.component_type();
    let mut found = Inspection {
        hooks: exports.set(),
        configurable: exports.configurable(),
        has_schema: exports.has_schema(),
        // In pages of 64 KiB.
        memory: component
            .resources_required()
            .and_then(|needed| needed.max_initial_memory_size)
            .map(|pages| pages << 16),
        unknown_hooks: Vec::new(),
        services: Vec::new(),
        wasi: Vec::new(),
        others: Vec::new(),
        contract: VERSION.to_owned(),
        size,
        lane: Lane::Sync,
    };
    for (import, _) in ty.imports(engine) {
        let list = match import {
            _ if import.starts_with("wasi:") => &mut found.wasi,
            // Names for types, nothing to call.
            _ if is_ours(import, "types") || is_ours(import, "bodies") => continue,
            _ if import.starts_with(PACKAGE) => &mut found.services,
            _ => &mut found.others,
        };
        list.push(import.to_owned());
        if lane::can_wait(import) {
            found.lane = Lane::Fiber;
        }
    }
    for (export, _) in ty.exports(engine) {
        let Some(version) = version_of(export) else { continue };
        found.contract = version.to_owned();
        let known = Hook::ALL.iter().any(|hook| is_ours(export, hook.name()))
            || is_ours(export, "lifecycle")
            || is_ours(export, "config-schema");
        if !known {
            found.unknown_hooks.push(export.to_owned());
        }
    }
    found
}
