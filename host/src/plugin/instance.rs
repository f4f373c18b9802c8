//! One instance of a plugin: its store, and what the store's host functions can see.

use std::sync::Arc;

use tracing::Level;
use wasmtime::Store;
use wasmtime::component::{Instance, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::abi::v0_1::hooks::{Functions, HookFunction};
use super::balance::{self, Asked, Known};
use super::failure::{Failure, Fault};
use super::imports::{Outgoing, Said};
use super::lane::{self, Lane};
use super::limits::{Limits, Meter};
use super::load::Compiled;
use super::metrics::{PluginNumbers, Registry, Series};
use super::output::{Output, Stream};
use super::stage::Stage;
use super::ticker::Ticker;
use super::voice::Voice;
use crate::hook::{Builtins, Choice, Fetch, Hook, KvGrant, ResponseView, View};

/// What all instances of one plugin share.
pub(super) struct Shared {
    /// Its name in the configuration.
    pub(super) name: Arc<str>,
    /// Its configuration: a JSON object, and the same parsed.
    pub(super) document: String,
    pub(super) config: serde_json::Value,
    pub(super) limits: Limits,
    pub(super) lane: Lane,
    pub(super) output: Arc<Output>,
    pub(super) numbers: Arc<PluginNumbers>,
    pub(super) registry: Arc<Registry>,
    pub(super) ticker: Arc<Ticker>,
    /// Sends its own requests; none where it is granted no destination.
    pub(super) fetch: Option<Arc<dyn Fetch>>,
    /// The stores that it may use; the guest's numbers for them are the indexes.
    pub(super) kv: Vec<KvGrant>,
    /// The secrets that it may read, by name.
    pub(super) secrets: Vec<(Arc<str>, Arc<str>)>,
    /// Its environment.
    pub(super) environment: Vec<(String, String)>,
    /// In place of the log and the clock, for tools.
    pub(super) stage: Option<Arc<Stage>>,
}

/// The data of a store: what imported functions work on.
pub(super) struct Ctx {
    pub(super) shared: Arc<Shared>,
    /// The current request; none outside of a call.
    pub(super) view: Option<Arc<View>>,
    /// The current response; none where the hook has none.
    pub(super) response: Option<Arc<ResponseView>>,
    /// The choice among peers that the call is about; none where the hook has none.
    pub(super) balance: Option<Asked>,
    /// What the call has said of the access that it grants; none where the hook grants none.
    pub(super) access: Option<Said>,
    room: Vec<u32>,
    /// Whether it has read its configuration: from then on its calls are hooks.
    pub(super) configured: bool,
    /// The number of the request that the call is about, and who makes its id of it: what the line
    /// about a failure names. Kept when the request is let go.
    pub(super) about: Option<(u64, &'static dyn Builtins)>,
    pub(super) voice: Arc<Voice>,
    pub(super) meter: Meter,
    pub(super) turn: lane::Turn,
    /// The series that this instance registered; their ids are the indexes.
    pub(super) series: Vec<Arc<Series>>,
    /// Made when the guest first asks for something of WASI.
    wasi: Option<Box<Wasi>>,
}

/// What WASI works on.
struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

impl Ctx {
    fn of_wasi(&mut self) -> &mut Wasi {
        let (shared, voice) = (&self.shared, &self.voice);
        self.wasi.get_or_insert_with(|| {
            // No files, no sockets, no arguments, and of the environment what is granted: only what
            // it says is let out.
            let mut wasi = WasiCtx::builder();
            wasi.envs(&shared.environment);
            wasi.stdout(Stream::new(voice, Level::INFO)).stderr(Stream::new(voice, Level::WARN));
            let outgoing = Outgoing::new(shared.fetch.clone());
            Box::new(Wasi { ctx: wasi.build(), table: ResourceTable::new(), http: WasiHttpCtx::new(), outgoing })
        })
    }
}

impl Ctx {
    /// A function of the host was called: every one comes through here, or through WASI's view.
    pub(super) fn called(&mut self) -> &mut Self {
        self.meter.count_call();
        self
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.meter.count_call();
        let Wasi { ctx, table, .. } = self.of_wasi();
        WasiCtxView { ctx, table }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.meter.count_call();
        let Wasi { table, http, outgoing, .. } = self.of_wasi();
        WasiHttpCtxView { hooks: outgoing, table, ctx: http }
    }
}

/// A configured instance.
pub(super) struct Live {
    pub(super) store: Store<Ctx>,
    pub(super) functions: Functions,
    pub(super) instance: Instance,
    /// The peers that it was told of.
    known: Known,
    /// Calls so far.
    pub(super) calls: u64,
    /// Memory above which it is not used again, bytes.
    soft_memory: usize,
    _counted: Counted,
}

/// Counts instances that exist.
struct Counted(Arc<PluginNumbers>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.instances(-1);
    }
}

impl Live {
    /// Make and configure one, in the sync lane.
    pub(super) fn make(compiled: &Compiled, shared: &Arc<Shared>) -> Result<Box<Self>, Failure> {
        let mut store = new_store(compiled, shared);
        let made = (|| {
            let instance = compiled.pre.instantiate(&mut store)?;
            if let Some(configure) = compiled.exports.configure(&mut store, &instance)? {
                let (answer,) = configure.call(&mut store, (&shared.document,))?;
                answer.map_err(Fault::Configure)?;
            }
            Ok(instance)
        })();
        Self::finish(compiled, store, made)
    }

    /// Make and configure one, in the fiber lane.
    pub(super) async fn make_async(compiled: &Compiled, shared: &Arc<Shared>) -> Result<Box<Self>, Failure> {
        let mut store = new_store(compiled, shared);
        let pauses = store.data().turn.pauses();
        let made = lane::within(shared.limits.configure, &pauses, async {
            let instance = compiled.pre.instantiate_async(&mut store).await?;
            if let Some(configure) = compiled.exports.configure(&mut store, &instance)? {
                let (answer,) = configure.call_async(&mut store, (&shared.document,)).await?;
                answer.map_err(Fault::Configure)?;
            }
            Ok(instance)
        });
        let made = made.await.unwrap_or(Err(Fault::Deadline));
        Self::finish(compiled, store, made)
    }

    fn finish(compiled: &Compiled, mut store: Store<Ctx>, made: Result<Instance, Fault>) -> Result<Box<Self>, Failure> {
        let load = |instance: Instance| Ok((Functions::load(&compiled.exports, &mut store, &instance)?, instance));
        let loaded = made.and_then(load);
        let (functions, instance) = loaded.map_err(|fault| Failure::of(&fault, store.data()))?;
        store.data_mut().configured = true;
        let ctx = store.data();
        ctx.voice.tell();
        // Between what a fresh instance has and what it may have: an instance that only
        // grows is replaced before it fails a request.
        let soft_memory = ctx.meter.memory.midpoint(ctx.shared.limits.memory);
        let numbers = Arc::clone(&ctx.shared.numbers);
        numbers.instances(1);
        Ok(Box::new(Self {
            store,
            functions,
            instance,
            known: Known::default(),
            calls: 0,
            soft_memory,
            _counted: Counted(numbers),
        }))
    }

    /// Call a hook in the sync lane.
    pub(super) fn call<H: HookFunction>(&mut self, exchange: Exchange, params: H::Params) -> Result<H::Answer, Fault> {
        let function = H::function(&self.functions).ok_or_else(absent)?;
        if let Some(choice) = exchange.choice.as_ref().filter(|choice| !self.known.has(choice)) {
            self.update(choice)?;
        }
        self.begin(exchange);
        self.grants::<H>();
        let raw = function.call(&mut self.store, params);
        self.end::<H>(raw)
    }

    /// Tell it of a group's peers, in the sync lane.
    #[cold]
    fn update(&mut self, choice: &Choice) -> Result<(), Fault> {
        let function = self.functions.update().ok_or_else(absent)?;
        let limit = self.store.data().shared.limits.deadline;
        lane::begin(&mut self.store, limit);
        function.call(&mut self.store, balance::params(choice))?;
        self.known.add(choice);
        Ok(())
    }

    /// Tell it of a group's peers, in the fiber lane.
    async fn update_async(&mut self, choice: &Choice) -> Result<(), Fault> {
        let function = self.functions.update().ok_or_else(absent)?;
        let ctx = self.store.data();
        let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
        lane::begin(&mut self.store, limit);
        let told = lane::within(limit, &pauses, function.call_async(&mut self.store, balance::params(choice))).await;
        told.ok_or(Fault::Deadline)??;
        self.known.add(choice);
        Ok(())
    }

    /// Call a hook in the fiber lane.
    pub(super) async fn call_async<H: HookFunction>(
        &mut self,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, Fault> {
        let function = H::function(&self.functions).ok_or_else(absent)?;
        if let Some(choice) = exchange.choice.as_ref().filter(|choice| !self.known.has(choice)) {
            // Boxed, since it is rare and would make every call's future larger.
            Box::pin(self.update_async(choice)).await?;
        }
        self.begin(exchange);
        self.grants::<H>();
        let ctx = self.store.data();
        let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
        let raw = lane::within(limit, &pauses, function.call_async(&mut self.store, params)).await;
        match raw {
            Some(raw) => self.end::<H>(raw),
            None => {
                self.let_go();
                Err(Fault::Deadline)
            }
        }
    }

    pub(super) fn begin(&mut self, exchange: Exchange) {
        let ctx = self.store.data_mut();
        ctx.about = Some((exchange.view.serial, exchange.view.builtins));
        ctx.view = Some(exchange.view);
        ctx.response = exchange.response;
        ctx.balance = exchange.choice.map(|choice| Asked::new(choice, std::mem::take(&mut ctx.room)));
        let limit = ctx.shared.limits.deadline;
        lane::begin(&mut self.store, limit);
        self.calls += 1;
    }

    /// The call may say what a grant binds a tunnel to, where it may grant.
    fn grants<H: HookFunction>(&mut self) {
        if H::HOOK == Hook::Authorizer {
            self.store.data_mut().access = Some(Said::default());
        }
    }

    /// Read the answer, judge it, and let go of the exchange.
    fn end<H: HookFunction>(&mut self, raw: wasmtime::Result<H::Raw>) -> Result<H::Answer, Fault> {
        let judged = |raw| H::convert(raw).and_then(|answer| H::judge(answer, self.store.data()));
        let answer = raw.map_err(Fault::Engine).and_then(|raw| judged(raw).map_err(Fault::Answer));
        self.let_go();
        answer
    }

    /// Let go of the exchange: the core changes it in place when nobody else holds it.
    pub(super) fn let_go(&mut self) {
        let ctx = self.store.data_mut();
        ctx.view = None;
        ctx.response = None;
        ctx.access = None;
        if let Some(asked) = ctx.balance.take() {
            ctx.room = asked.into_room();
        }
    }

    /// Name what went wrong in the last call.
    pub(super) fn failure(&self, fault: &Fault) -> Failure {
        Failure::of(fault, self.store.data())
    }

    /// Its linear memory, bytes.
    pub(super) fn memory(&self) -> usize {
        self.store.data().meter.memory
    }

    /// Whether it may serve another call.
    pub(super) fn is_good(&self) -> bool {
        let ctx = self.store.data();
        ctx.voice.tell();
        if let Some(stage) = &ctx.shared.stage {
            stage.saw_memory(ctx.meter.memory);
        }
        self.calls < ctx.shared.limits.calls && ctx.meter.memory <= self.soft_memory
    }
}

/// What a call is about.
pub(super) struct Exchange {
    pub(super) view: Arc<View>,
    pub(super) response: Option<Arc<ResponseView>>,
    pub(super) choice: Option<Choice>,
}

pub(super) fn absent() -> Fault {
    Fault::Engine(wasmtime::Error::msg("the plugin does not export this hook"))
}

pub(super) fn new_store(compiled: &Compiled, shared: &Arc<Shared>) -> Store<Ctx> {
    let ctx = Ctx {
        shared: Arc::clone(shared),
        view: None,
        response: None,
        balance: None,
        access: None,
        room: Vec::new(),
        configured: false,
        about: None,
        voice: Voice::new(&shared.output),
        meter: Meter::new(&shared.limits, &shared.numbers),
        turn: lane::Turn::new(),
        series: Vec::new(),
        wasi: None,
    };
    let mut store = Store::new(compiled.pre.engine(), ctx);
    store.limiter(|ctx| &mut ctx.meter);
    store.set_hostcall_fuel(shared.limits.output);
    lane::prepare(&mut store, shared.lane);
    lane::begin(&mut store, shared.limits.configure);
    store
}
