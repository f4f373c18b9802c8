//! `isolation = "request"`: the hooks of one request, and of the tunnel that it opens, share an
//! instance that nobody else sees. It is made for the first of them and kept with the request
//! ([`crate::hook::Own`]), whose end drops it; the pool of instances wipes its slot (12 to 20 µs
//! in all, JavaScript 0.1 to 0.4 ms).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::abi::v0_1::hooks::HookFunction;
use super::home::{Held, Home, Judged, judged};
use super::instance::{Exchange, Live};
use super::loaded::Loaded;
use super::quarantine::Pass;
use crate::hook::{Hook, HookFailure, HookSet, View};

/// How a plugin keeps its requests apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Isolated {
    /// Under which number a request keeps its instance.
    owner: u64,
    /// Whether it is asked something after the head of the answer.
    lasts: bool,
}

impl Isolated {
    pub(super) fn new(hooks: HookSet) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        let before_the_end =
            [Hook::Router, Hook::Origin, Hook::Authorizer, Hook::RequestHeaders, Hook::Balancer, Hook::ResponseHeaders];
        let lasts = hooks.iter().any(|hook| !before_the_end.contains(&hook));
        Self { owner: OWNERS.fetch_add(1, Ordering::Relaxed), lasts }
    }

    /// The instance that this request has already.
    pub(super) fn find(self, view: &View) -> Option<Arc<Home>> {
        view.own.get::<Home>(self.owner).filter(|home| !home.has_failed())
    }

    /// Give the request its instance.
    pub(super) fn settle(self, view: &View, live: Box<Live>) -> Arc<Home> {
        let home = Home::new(live);
        view.own.put(self.owner, self.lasts, &home);
        home
    }
}

impl Loaded {
    /// Call a hook in the request's own instance, in the sync lane.
    pub(super) fn call_isolated<H: HookFunction>(
        &self,
        isolated: Isolated,
        pass: Pass<'_>,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, HookFailure> {
        let home = match isolated.find(&exchange.view) {
            Some(home) => home,
            None => match Live::make(&self.compiled, &self.shared) {
                Ok(live) => isolated.settle(&exchange.view, live),
                Err(failure) => return Err(self.not_made(H::HOOK, pass, failure)),
            },
        };
        let answer = home.with(|live| judged(live, |live| live.call::<H>(exchange, params)));
        self.finished(H::HOOK, &home, pass, answer)
    }

    /// Call a hook in the request's own instance, in the fiber lane. Dropped half-way, it drops the
    /// instance too.
    pub(super) async fn call_isolated_later<H: HookFunction>(
        &self,
        isolated: Isolated,
        pass: Pass<'_>,
        exchange: Exchange,
        params: H::Params,
    ) -> Result<H::Answer, HookFailure> {
        let home = match isolated.find(&exchange.view) {
            Some(home) => home,
            None => match Box::pin(Live::make_async(&self.compiled, &self.shared)).await {
                Ok(live) => isolated.settle(&exchange.view, live),
                Err(failure) => return Err(self.not_made(H::HOOK, pass, failure)),
            },
        };
        let answer = {
            let _turn = home.turn.acquire().await;
            let mut held = Held::take(&home);
            let answer: Option<Judged<H::Answer>> = match held.live() {
                Some(live) => {
                    let answer = live.call_async::<H>(exchange, params).await;
                    Some(judged(live, |_| answer))
                }
                None => None,
            };
            held.give_back(answer.as_ref().is_some_and(Result::is_ok));
            answer
        };
        self.finished(H::HOOK, &home, pass, answer)
    }
}
