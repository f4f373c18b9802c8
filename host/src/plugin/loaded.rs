//! A loaded plugin: the hook contract over a component's instances.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::abi::v0_1::hooks::{HookFunction, call};
use super::abi::v0_1::{convert, messages};
use super::bodies;
use super::failure::{Breaker, Failure, Fault};
use super::handler;
use super::home::Homes;
use super::instance::{Exchange, Live, Shared};
use super::lane::Lane;
use super::load::Compiled;
use super::pool::{Pool, Seats};
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
    pub(super) shared: Arc<Shared>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) seats: Arc<Seats>,
    pub(super) hooks: HookSet,
    pub(super) on_failure: OnFailure,
    pub(super) per_call: bool,
    pub(super) pool: Pool<Live>,
    pub(super) breaker: Breaker,
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

/// How many calls may be under way on `workers`.
pub(super) fn turns(workers: usize, waits: bool) -> usize {
    workers.max(1) * if waits { WAITING_CALLS } else { COMPUTING_CALLS }
}

/// The handle that the core holds: fiber calls outlive the borrow of the trait's methods.
pub(super) struct Handle(pub(super) Arc<Loaded>);

impl Loaded {
    /// Call a hook in the sync lane.
    fn call<H: HookFunction>(&self, exchange: Exchange, params: H::Params) -> Result<H::Answer, HookFailure> {
        let seat = self.enter(H::HOOK)?;
        let mut live = match self.take(seat) {
            Some(live) => live,
            None => Live::make(&self.compiled, &self.shared).map_err(|f| self.not_made(H::HOOK, f))?,
        };
        let answer = live.call::<H>(exchange, params);
        self.leave(H::HOOK, live, answer)
    }

    /// Call a hook in the fiber lane. Dropped half-way (the client left), it drops its
    /// instance too, which nobody could call again.
    async fn call_later<H: HookFunction>(
        self: Arc<Self>,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, HookFailure> {
        let seat = self.enter(H::HOOK)?;
        let _turn = self.turn(H::HOOK).await?;
        let mut live = match self.take(seat) {
            Some(live) => live,
            // Boxed, since it is rare and would make every call's future as large as itself.
            None => {
                Box::pin(Live::make_async(&self.compiled, &self.shared)).await.map_err(|f| self.not_made(H::HOOK, f))?
            }
        };
        let answer = live.call_async::<H>(exchange, params).await;
        self.leave(H::HOOK, live, answer)
    }

    /// Count the call, and refuse it where the plugin rests.
    pub(super) fn enter(&self, hook: Hook) -> Result<usize, HookFailure> {
        let seat = self.seats.mine();
        self.shared.numbers.called(seat, hook);
        if self.breaker.resting() {
            self.shared.numbers.failed(hook, HookFailureKind::Resting);
            return Err(self.hook_failure(hook, HookFailureKind::Resting, String::new()));
        }
        Ok(seat)
    }

    /// Count a call that is made even where the plugin rests.
    pub(super) fn count(&self, hook: Hook) {
        self.shared.numbers.called(self.seats.mine(), hook);
    }

    pub(super) async fn turn(&self, hook: Hook) -> Result<SemaphorePermit<'_>, HookFailure> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| self.failed(hook, Failure::busy()))
    }

    fn take(&self, seat: usize) -> Option<Box<Live>> {
        if self.per_call { None } else { self.pool.take(seat) }
    }

    /// Keep the instance of a call that went well, drop it otherwise.
    fn leave<T>(&self, hook: Hook, live: Box<Live>, answer: Result<T, Fault>) -> Result<T, HookFailure> {
        match answer {
            Ok(answer) => {
                self.breaker.good();
                if !self.per_call && live.is_good() {
                    // By now the call may be on another thread than it began on.
                    self.pool.put(self.seats.mine(), live);
                }
                Ok(answer)
            }
            Err(fault) => Err(self.failed(hook, live.failure(&fault))),
        }
    }

    #[cold]
    pub(super) fn not_made(&self, hook: Hook, mut failure: Failure) -> HookFailure {
        if failure.kind != HookFailureKind::Instantiate {
            // It is one kind for the caller; why stands in the text.
            failure.detail = format!("while it started: {}: {}", failure.kind, failure.detail);
            failure.kind = HookFailureKind::Instantiate;
        }
        self.failed(hook, failure)
    }

    /// Log and count a failure, and let the plugin rest where it was one too many.
    #[cold]
    pub(super) fn failed(&self, hook: Hook, failure: Failure) -> HookFailure {
        let Failure { kind, detail, backtrace, blame, .. } = failure;
        let plugin = &*self.shared.name;
        self.shared.numbers.failed(hook, kind);
        tracing::error!(plugin, hook = hook.name(), kind = kind.code(), detail, backtrace, "a plugin's call failed");
        if blame && let Some(rest) = self.breaker.bad() {
            tracing::error!(plugin, ?rest, "the plugin rests after failures in a row");
        }
        self.hook_failure(hook, kind, detail)
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
            Lane::Fiber => Call::Later(Box::pin(Arc::clone(&self.0).call_later::<H>(exchange, params))),
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
