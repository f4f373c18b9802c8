//! A loaded plugin: the hook contract over a component's instances.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Level;

use super::abi::v0_1::hooks::{HookFunction, call};
use super::abi::v0_1::{convert, messages};
use super::bodies;
use super::clock::{self, Reading};
use super::failure::{Failure, Fault};
use super::handler;
use super::home::Homes;
use super::instance::{Exchange, Live, Shared};
use super::isolated::Isolated;
use super::lane::Lane;
use super::load::{Compiled, Spec};
use super::pool::{Pool, Seats};
use super::quarantine::{Guard, Pass, Sentence};
use super::session::{self, Line};
use crate::hook::{
    Call, Choice, Decision, FieldEdit, HandlerRequest, Handling, Hook, HookFailure, HookFailureKind, HookSet,
    LocalReply, OnFailure, OpenedBody, Plugin, ResponseView, Session, Summary, Target, TunnelSummary, Verdict, View,
};

/// Calls of one plugin that each worker may have under way, where the calls wait. More wait
/// for their turn; so many are the requests that a plugin can make at a time, too.
pub const WAITING_CALLS: usize = 256;
/// The same where they only compute: more would make all of them late together.
const COMPUTING_CALLS: usize = 4;
/// How long a call waits for its turn before it is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// One plugin with one configuration.
pub(super) struct Loaded {
    /// What it was loaded by.
    pub(super) spec: Spec,
    pub(super) shared: Arc<Shared>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) seats: Arc<Seats>,
    pub(super) hooks: HookSet,
    pub(super) on_failure: OnFailure,
    /// How it keeps requests apart; none where they share instances.
    pub(super) isolated: Option<Isolated>,
    pub(super) pool: Pool<Live>,
    pub(super) guard: Arc<Guard>,
    /// Bounds the calls of the fiber lane.
    pub(super) turns: Semaphore,
    /// Instances that tunnels live in.
    pub(super) homes: Homes,
    /// Instances that bodies are shown to.
    pub(super) body_homes: Homes,
    /// Whether open tunnels move to a newer version of the plugin.
    pub(super) restarts: bool,
    /// The plugins of this name.
    pub(super) line: Arc<Line>,
}

impl Loaded {
    /// Whether loading this would give the same again, so that a reload can go on with this one:
    /// its instances stay warm, and what it has learnt stays known.
    pub(super) fn is_same(&self, compiled: &Arc<Compiled>, spec: &Spec) -> bool {
        let Spec {
            name,
            // Its bytes are what counts.
            source: _,
            config,
            on_failure,
            deadline,
            memory,
            caps,
            quarantine,
            hooks,
            restart_tunnels,
            isolation,
            fetch,
            kv,
            secrets,
            environment,
            stage,
        } = spec;
        let mine = &self.spec;
        Arc::ptr_eq(&self.compiled, compiled)
            && name == &mine.name
            && config == &mine.config
            && on_failure == &mine.on_failure
            && deadline == &mine.deadline
            && memory == &mine.memory
            && caps == &mine.caps
            && quarantine == &mine.quarantine
            && hooks == &mine.hooks
            && restart_tunnels == &mine.restart_tunnels
            && isolation == &mine.isolation
            && secrets == &mine.secrets
            && environment == &mine.environment
            // A store has the bounds of a configuration.
            && kv.is_empty()
            && mine.kv.is_empty()
            // Requests of its own go through a configuration's upstreams, and a balancer learns a
            // configuration's groups: both would keep what is gone.
            && fetch.is_none()
            && mine.fetch.is_none()
            // What a tool looks at is its own.
            && stage.is_none()
            && mine.stage.is_none()
            && !self.hooks.contains(Hook::Balancer)
    }
}

/// How many calls may be under way on `workers`.
pub(super) fn turns(workers: usize, waits: bool) -> usize {
    workers.max(1) * if waits { WAITING_CALLS } else { COMPUTING_CALLS }
}

/// The handle that the core holds: fiber calls outlive the borrow of the trait's methods.
pub(super) struct Handle(pub(super) Arc<Loaded>);

impl Loaded {
    /// Call a hook in the sync lane.
    fn call<H: HookFunction>(&self, exchange: Exchange, params: H::Params) -> Result<H::Answer, HookFailure> {
        let since = Reading::now();
        let (seat, pass) = self.enter(H::HOOK)?;
        let answer = match self.isolated {
            None => self.call_shared::<H>(seat, pass, exchange, params),
            Some(isolated) => self.call_isolated::<H>(isolated, pass, exchange, params),
        };
        self.shared.numbers.worked(seat, since);
        answer
    }

    /// Call a hook in one of the worker's instances.
    fn call_shared<H: HookFunction>(
        &self,
        seat: usize,
        pass: Pass<'_>,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, HookFailure> {
        let made = match self.pool.take(seat) {
            Some(live) => Ok(live),
            None => Live::make(&self.compiled, &self.shared),
        };
        match made {
            Ok(mut live) => {
                let answer = live.call::<H>(exchange, params);
                self.leave(H::HOOK, pass, live, answer)
            }
            Err(failure) => Err(self.not_made(H::HOOK, pass, failure)),
        }
    }

    /// Call a hook in the fiber lane. Dropped half-way (the client left), it drops its
    /// instance too, which nobody could call again.
    async fn call_later<H: HookFunction>(
        self: Arc<Self>,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, HookFailure> {
        let (seat, pass) = self.enter(H::HOOK)?;
        let _turn = self.turn(H::HOOK).await?;
        if let Some(isolated) = self.isolated {
            return Box::pin(self.call_isolated_later::<H>(isolated, pass, exchange, params)).await;
        }
        let made = match self.pool.take(seat) {
            Some(live) => Ok(live),
            // Boxed, since it is rare and would make every call's future as large as itself.
            None => Box::pin(Live::make_async(&self.compiled, &self.shared)).await,
        };
        match made {
            Ok(mut live) => {
                let answer = live.call_async::<H>(exchange, params).await;
                self.leave(H::HOOK, pass, live, answer)
            }
            Err(failure) => Err(self.not_made(H::HOOK, pass, failure)),
        }
    }

    /// Count the call, and refuse it where the plugin is in quarantine.
    pub(super) fn enter(&self, hook: Hook) -> Result<(usize, Pass<'_>), HookFailure> {
        let seat = self.seats.mine();
        self.shared.numbers.called(seat, hook);
        match self.guard.admit() {
            Some(pass) => Ok((seat, pass)),
            None => {
                self.shared.numbers.failed(hook, HookFailureKind::Quarantined);
                Err(self.hook_failure(hook, HookFailureKind::Quarantined, String::new()))
            }
        }
    }

    /// Count a call that is made in quarantine too.
    pub(super) fn count(&self, hook: Hook) -> usize {
        let seat = self.seats.mine();
        self.shared.numbers.called(seat, hook);
        seat
    }

    pub(super) async fn turn(&self, hook: Hook) -> Result<SemaphorePermit<'_>, HookFailure> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| self.failed(hook, self.guard.free(), Failure::busy()))
    }

    /// Keep the instance of a call that went well, drop it otherwise.
    fn leave<T>(
        &self,
        hook: Hook,
        pass: Pass<'_>,
        live: Box<Live>,
        answer: Result<T, Fault>,
    ) -> Result<T, HookFailure> {
        match answer {
            Ok(answer) => {
                // By now the call may be on another thread than it began on.
                let seat = self.seats.mine();
                self.went_well(pass, seat);
                if live.is_good() {
                    self.pool.put(seat, live);
                }
                Ok(answer)
            }
            Err(fault) => Err(self.failed(hook, pass, live.failure(&fault))),
        }
    }

    /// A call went well.
    pub(super) fn went_well(&self, pass: Pass<'_>, seat: usize) {
        if pass.good(seat) {
            tracing::info!(plugin = &*self.shared.name, "the plugin is out of quarantine");
        }
    }

    #[cold]
    pub(super) fn not_made(&self, hook: Hook, pass: Pass<'_>, mut failure: Failure) -> HookFailure {
        if failure.kind != HookFailureKind::Instantiate {
            // It is one kind for the caller; why stands in the text.
            failure.detail = format!("while it started: {}: {}", failure.kind, failure.detail);
            failure.kind = HookFailureKind::Instantiate;
        }
        self.failed(hook, pass, failure)
    }

    /// Log and count a failure, and put the plugin into quarantine where it was one too many.
    #[cold]
    pub(super) fn failed(&self, hook: Hook, pass: Pass<'_>, failure: Failure) -> HookFailure {
        let Failure { kind, detail, backtrace, said, request, blame, .. } = failure;
        let plugin = &*self.shared.name;
        self.shared.numbers.failed(hook, kind);
        let (hook_name, code) = (hook.name(), kind.code());
        match &self.shared.stage {
            Some(stage) => {
                stage.hear(Level::ERROR, format!("hook {hook_name} failed: {code}: {detail}: {said}: {backtrace}"))
            }
            // Texts of a guest are fields: the log writes them with their line ends and control characters escaped.
            None => tracing::error!(
                plugin,
                hook = hook_name,
                request,
                kind = code,
                detail,
                said = Some(said).filter(|said| !said.is_empty()),
                backtrace,
                "a plugin's call failed"
            ),
        }
        if blame && let Some(Sentence { is_new, reason, lasts }) = pass.bad(&format!("{kind}: {detail}")) {
            if is_new {
                self.shared.numbers.quarantined();
            }
            tracing::error!(plugin, reason, next_probe = ?lasts, "the plugin is in quarantine");
        }
        self.hook_failure(hook, kind, detail)
    }

    /// A call of the fiber lane, of which is counted how long it has workers.
    pub(super) fn later<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, HookFailure>> + Send + 'static,
    ) -> Call<T> {
        let this = Arc::clone(self);
        let worked = move |since| this.shared.numbers.worked(this.seats.mine(), since);
        Call::Later(Box::pin(clock::timed(worked, call)))
    }

    pub(super) fn hook_failure(&self, hook: Hook, kind: HookFailureKind, detail: String) -> HookFailure {
        HookFailure { plugin: Arc::clone(&self.shared.name), hook, kind, detail }
    }
}

impl Handle {
    fn ask<H: HookFunction + 'static>(
        &self,
        view: &Arc<View>,
        response: Option<&Arc<ResponseView>>,
        params: H::Params,
    ) -> Call<H::Answer> {
        self.call::<H>(Exchange { view: Arc::clone(view), response: response.map(Arc::clone), choice: None }, params)
    }

    fn call<H: HookFunction + 'static>(&self, exchange: Exchange, params: H::Params) -> Call<H::Answer> {
        match self.0.shared.lane {
            Lane::Sync => Call::Ready(self.0.call::<H>(exchange, params)),
            Lane::Fiber => {
                let call = Arc::clone(&self.0).call_later::<H>(exchange, params);
                self.0.later(call)
            }
        }
    }
}

impl Plugin for Handle {
    fn name(&self) -> &str {
        &self.0.shared.name
    }

    fn hooks(&self) -> HookSet {
        self.0.hooks
    }

    fn on_failure(&self) -> OnFailure {
        self.0.on_failure
    }

    fn route(&self, view: &Arc<View>) -> Call<Result<Option<Target>, LocalReply>> {
        self.ask::<call::Route>(view, None, ())
    }

    fn check_origin(&self, view: &Arc<View>) -> Call<Decision> {
        self.ask::<call::CheckOrigin>(view, None, ())
    }

    fn authorize(&self, view: &Arc<View>) -> Call<Verdict> {
        self.ask::<call::Authorize>(view, None, ())
    }

    fn on_request(&self, view: &Arc<View>) -> Call<Result<Vec<FieldEdit>, LocalReply>> {
        self.ask::<call::OnRequest>(view, None, ())
    }

    fn pick(&self, view: &Arc<View>, choice: Choice) -> Call<Option<u32>> {
        let group = choice.peers.group();
        self.call::<call::Pick>(Exchange { view: Arc::clone(view), response: None, choice: Some(choice) }, (group,))
    }

    fn handle(&self, request: HandlerRequest) -> Handling {
        handler::handle(&self.0, request)
    }

    fn on_response(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<Result<Vec<FieldEdit>, LocalReply>> {
        self.ask::<call::OnResponse>(view, Some(response), ())
    }

    fn open_body(&self, view: &Arc<View>, response: Option<&Arc<ResponseView>>) -> Call<OpenedBody> {
        bodies::open(&self.0, view, response)
    }

    fn open(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<Option<Box<dyn Session>>> {
        session::open(&self.0, view, response)
    }

    fn on_tunnel_open(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<()> {
        self.ask::<call::TunnelOpen>(view, Some(response), (view.serial,))
    }

    fn on_tunnel_close(&self, view: &Arc<View>, response: &Arc<ResponseView>, summary: &TunnelSummary) -> Call<()> {
        self.ask::<call::TunnelClose>(view, Some(response), (view.serial, messages::summary(summary)))
    }

    fn take_over(&self) {
        self.0.line.take_over(&self.0);
    }

    fn on_end(&self, view: &Arc<View>, response: &Arc<ResponseView>, summary: &Summary) -> Call<()> {
        self.ask::<call::OnEnd>(view, Some(response), (convert::summary(summary),))
    }
}
