//! The one runtime of a process: what all plugins share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::Mutex;
use wasmtime::Engine;

use super::bodies;
use super::cache::{self, Cache, ComponentDigest};
use super::engine::{self, MAX_MEMORY};
use super::error::PluginError;
use super::failure::{Failure, Subject};
use super::home::{self, Homes};
use super::imports::Linkers;
use super::instance::{Live, Shared};
use super::isolated::Isolated;
use super::lane::Lane;
use super::limits::Limits;
use super::load::{self, Compiled, Inspection, Source, Spec};
use super::loaded::{Handle, Loaded, turns};
use super::metrics::Registry;
use super::output::Output;
use super::pool::{Pool, Seats};
use super::quarantine::Guard;
use super::session::Line;
use super::start::described;
use super::ticker::Ticker;
use crate::hook::{HookFailureKind, HookSet, Isolation, Plugin};

/// How a [`Runtime`] is made.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// Threads that will call plugins; idle instances are kept for each.
    pub workers: usize,
    /// Where compiled components are kept; none keeps none.
    pub cache_dir: Option<PathBuf>,
    /// Instances that can exist at a time, of all plugins together. Each reserves 4 GiB of
    /// address space (not memory), of which a process has 128 TiB: 1000 is much.
    pub instances: u32,
    /// The stack of each call, bytes. Threads that call plugins of the sync lane must have as
    /// much, and what they need themselves.
    pub stack: usize,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self { workers: 1, cache_dir: None, instances: 64, stack: 512 << 10 }
    }
}

/// What a [`Runtime`] has in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loads {
    /// Plugins: those of the configuration in use, and older ones that requests or tunnels still use.
    pub plugins: u64,
    /// Compiled components.
    pub components: u64,
    /// Instances of all plugins.
    pub instances: u64,
}

/// Loads plugins, and owns what they share: the engine, the thread that keeps deadlines,
/// the disk cache and the metrics. Plugins keep it alive as far as they need it.
pub struct Runtime {
    engine: Engine,
    linkers: Linkers,
    cache: Option<Cache>,
    ticker: Arc<Ticker>,
    registry: Arc<Registry>,
    seats: Arc<Seats>,
    workers: usize,
    pub(super) stack: usize,
    /// Compiled components by digest and whether their stores make them wait, for as long as a plugin uses them: many plugins of
    /// one component, or a reload, compile nothing. Locked while one compiles, so that a
    /// start does not compile one component many times.
    compiled: Mutex<HashMap<(ComponentDigest, bool), Weak<Compiled>>>,
    /// Which plugin of each name is in use.
    lines: Mutex<HashMap<Arc<str>, Weak<Line>>>,
    /// Every plugin that is in use.
    loaded: Mutex<Vec<Weak<Loaded>>>,
}

impl Runtime {
    /// Make a runtime.
    ///
    /// # Errors
    /// [`PluginError::Engine`] where there is not enough address space or no thread.
    pub fn new(settings: &RuntimeSettings) -> Result<Arc<Self>, PluginError> {
        let broken = |error: wasmtime::Error| PluginError::Engine { detail: format!("{error:#}") };
        let engine = engine::engine(settings.instances.max(1), settings.stack).map_err(broken)?;
        let linkers = Linkers::new(&engine).map_err(broken)?;
        let ticker = Ticker::start(engine.clone()).map_err(|e| PluginError::Engine { detail: e.to_string() })?;
        let cache = settings.cache_dir.as_ref().and_then(|dir| match Cache::open(dir, &engine) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "no cache for compiled plugins: each start compiles them");
                None
            }
        });
        let workers = settings.workers.max(1);
        Ok(Arc::new(Self {
            engine,
            linkers,
            cache,
            ticker: Arc::new(ticker),
            registry: Arc::new(Registry::new(workers)),
            seats: Arc::new(Seats::new()),
            workers,
            stack: settings.stack,
            compiled: Mutex::default(),
            lines: Mutex::default(),
            loaded: Mutex::default(),
        }))
    }

    /// Load a plugin: read, compile or take from the cache, check, and try it, which runs
    /// its `configure`. It blocks for as long as that takes (compiling: 0.1 s for a small
    /// plugin, some seconds for JavaScript and Python), so not on a worker.
    ///
    /// # Errors
    /// What is wrong with the component, its configuration or its limits.
    pub fn load(&self, spec: &Spec) -> Result<Arc<dyn Plugin>, PluginError> {
        let compiled = self.ready(spec)?;
        compiled.inspection.warn_of_missing_grants(spec);
        for unknown in &compiled.inspection.unknown_hooks {
            tracing::warn!(
                plugin = &*spec.name,
                export = unknown,
                "this version does not know the hook and never calls it"
            );
        }
        if let Some(same) = self.in_use(|loaded| loaded.is_same(&compiled, spec)) {
            return Ok(Arc::new(Handle(same)));
        }
        let hooks = chosen(compiled.exports.set(), spec.hooks)?;
        let shared = self.shared(spec, &compiled)?;
        if let Some(schema) = described(&compiled, &shared, self.stack)? {
            schema.judge(&shared.config).map_err(PluginError::Schema)?;
        }
        let guard = Arc::new(Guard::new(spec.quarantine, self.workers));
        shared.numbers.guarded(&guard);
        let trial = trial(&compiled, &shared, self.stack).map_err(|failure| start_error(failure, &shared.limits))?;
        let idle = shared.limits.idle;
        let pool = Pool::new(self.workers, idle);
        let isolated = (spec.isolation == Isolation::Request).then(|| Isolated::new(hooks));
        if isolated.is_none() {
            pool.put(0, trial);
        }
        let loaded = Arc::new(Loaded {
            spec: spec.clone(),
            turns: tokio::sync::Semaphore::new(turns(self.workers, compiled.waits())),
            shared,
            compiled,
            seats: Arc::clone(&self.seats),
            hooks,
            on_failure: spec.on_failure,
            isolated,
            pool,
            guard,
            homes: Homes::new(self.workers, idle, home::CROWDED),
            body_homes: Homes::new(self.workers, idle, bodies::CROWDED),
            restarts: spec.restart_tunnels,
            line: self.line(&spec.name),
        });
        self.loaded.lock().push(Arc::downgrade(&loaded));
        Ok(Arc::new(Handle(loaded)))
    }

    /// A plugin that is in use and is as wanted.
    fn in_use(&self, is_wanted: impl Fn(&Loaded) -> bool) -> Option<Arc<Loaded>> {
        let mut all = self.loaded.lock();
        all.retain(|loaded| loaded.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).find(|loaded| is_wanted(loaded))
    }

    /// What is in memory now: plugins, components (of which several plugins may be made), and
    /// instances.
    pub fn loads(&self) -> Loads {
        let alive = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let plugins = self.loaded.lock().iter().filter(|loaded| loaded.strong_count() > 0).count();
        let components = self.compiled.lock().values().filter(|compiled| compiled.strong_count() > 0).count();
        let instances = self.registry.counts().iter().map(|plugin| plugin.instances).sum();
        Loads { plugins: alive(plugins), components: alive(components), instances }
    }

    /// The component of a plugin, compiled.
    pub(super) fn ready(&self, spec: &Spec) -> Result<Arc<Compiled>, PluginError> {
        match &spec.source {
            Source::Ready(prepared) => Ok(Arc::clone(&prepared.0)),
            source => self.compiled(&source.read()?, spec.kv.iter().any(|granted| granted.store.waits())),
        }
    }

    /// What the instances of a plugin share.
    pub(super) fn shared(&self, spec: &Spec, compiled: &Compiled) -> Result<Arc<Shared>, PluginError> {
        if spec.memory > MAX_MEMORY {
            return Err(PluginError::MemoryTooLarge { asked: spec.memory, most: MAX_MEMORY });
        }
        let config = serde_json::from_str(&spec.config).map_err(PluginError::Document)?;
        let lane = Lane::choose(compiled.waits(), spec.deadline);
        Ok(Arc::new(Shared {
            name: Arc::clone(&spec.name),
            document: spec.config.clone(),
            config,
            limits: Limits::new(spec.deadline, spec.memory, spec.caps, compiled.inspection.size),
            lane,
            output: Arc::new(Output::new(Arc::clone(&spec.name), spec.stage.clone())),
            numbers: self.registry.plugin(&spec.name),
            registry: Arc::clone(&self.registry),
            ticker: Arc::clone(&self.ticker),
            fetch: spec.fetch.clone(),
            kv: spec.kv.clone(),
            secrets: spec.secrets.clone(),
            environment: spec.environment.clone(),
            stage: spec.stage.clone(),
        }))
    }

    /// The line of the plugins of one name; it lasts as long as one of them.
    fn line(&self, name: &Arc<str>) -> Arc<Line> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(name).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line::default());
        lines.insert(Arc::clone(name), Arc::downgrade(&line));
        line
    }

    /// Say what a component is, without running it.
    ///
    /// # Errors
    /// Why it could not be loaded with any configuration.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, PluginError> {
        Ok(self.compiled(bytes, false)?.inspection.clone())
    }

    /// The numbers of all plugins.
    pub fn metrics(&self) -> &Registry {
        &self.registry
    }

    /// The thread that keeps deadlines.
    #[cfg(test)]
    pub(super) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// Compile a component, or find it compiled. `kv_waits`: whether a store may make it wait.
    pub(super) fn compiled(&self, bytes: &[u8], kv_waits: bool) -> Result<Arc<Compiled>, PluginError> {
        let digest = cache::digest(bytes);
        let mut all = self.compiled.lock();
        if let Some(compiled) = all.get(&(digest, kv_waits)).and_then(Weak::upgrade) {
            return Ok(compiled);
        }
        all.retain(|_, compiled| compiled.strong_count() > 0);
        let cached = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, &digest));
        let component = match cached {
            Some(component) => component,
            None => {
                let component = load::compile(&self.engine, bytes)?;
                if let Some(cache) = &self.cache {
                    cache.put(&digest, &component);
                }
                component
            }
        };
        let compiled = Arc::new(load::link(&self.linkers, &component, bytes.len(), kv_waits)?);
        all.insert((digest, kv_waits), Arc::downgrade(&compiled));
        Ok(compiled)
    }
}

/// The hooks that are used: those that it exports, or those of them that were asked for.
fn chosen(exported: HookSet, asked: Option<HookSet>) -> Result<HookSet, PluginError> {
    let Some(asked) = asked else { return Ok(exported) };
    match asked.iter().find(|hook| !exported.contains(*hook)) {
        Some(hook) => Err(PluginError::HookNotExported { hook }),
        None if asked == HookSet::default() => Err(PluginError::NoHooks),
        None => Ok(asked),
    }
}

/// Make and configure a first instance.
fn trial(compiled: &Compiled, shared: &Arc<Shared>, stack: usize) -> Result<Box<Live>, Failure> {
    match shared.lane {
        Lane::Sync => on_own_stack(stack, || Live::make(compiled, shared)),
        Lane::Fiber => on_own_thread(stack, Live::make_async(compiled, shared)),
    }
}

/// Run what belongs into the fiber lane. The caller's thread may already run a tokio runtime, in
/// which one cannot block: so this has its own thread.
pub(super) fn on_own_thread<T: Send>(
    stack: usize,
    work: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    on_own_stack(stack, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|e| Failure::host(e.to_string()))?;
        runtime.block_on(work)
    })
}

/// Run a guest on a thread that has the stack for it: the caller's may have too small a one.
pub(super) fn on_own_stack<T: Send>(
    stack: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    thread::scope(|scope| {
        let trial = thread::Builder::new().name("tidegate-trial".into()).stack_size(stack.saturating_add(2 << 20));
        let trial = trial.spawn_scoped(scope, work).map_err(|e| Failure::host(e.to_string()))?;
        trial.join().unwrap_or_else(|_| Err(Failure::host("the trial panicked".into())))
    })
}

pub(super) fn start_error(failure: Failure, limits: &Limits) -> PluginError {
    let size = |bytes| u64::try_from(bytes).unwrap_or(u64::MAX);
    match failure {
        Failure { subject: Subject::Configuration, detail, .. } => PluginError::configure(detail),
        Failure { subject: Subject::Shape(interface), detail, .. } => PluginError::WrongShape { interface, detail },
        Failure { subject: Subject::Memory(needed), .. } => {
            PluginError::Memory { needed: size(needed), limit: size(limits.memory) }
        }
        Failure { subject: Subject::Table(needed), .. } => {
            PluginError::Table { needed: size(needed), limit: size(limits.table) }
        }
        Failure { kind: HookFailureKind::Deadline, .. } => PluginError::Slow { limit: limits.configure },
        Failure { detail, said, backtrace, .. } => {
            let parts = [("", detail.as_str()), ("it said: ", &said), ("at: ", &backtrace)];
            let parts = parts.iter().filter(|(_, text)| !text.is_empty());
            PluginError::Start {
                detail: parts.map(|(what, text)| format!("{what}{text}")).collect::<Vec<_>>().join("; "),
            }
        }
    }
}
