//! One plugin's part in one tunnel, bound to the instance that opened it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use super::clock::Reading;
use super::home::{Held, Home, Judged, judged};
use super::instance::{Exchange, Live};
use super::lane::Lane;
use super::loaded::Loaded;
use super::talk::Kept;
use crate::hook::{
    Call, Hook, HookFailure, Judgement, Message, OnFailure, ResponseView, Session, SessionState, Subscription, View,
};

/// The plugins of one name, one after the other: which of them is in use.
#[derive(Default)]
pub(super) struct Line {
    /// Counts those that have been.
    version: AtomicU64,
    current: Mutex<Option<std::sync::Weak<Loaded>>>,
}

impl Line {
    /// This one is in use from now on.
    pub(super) fn take_over(&self, loaded: &Arc<Loaded>) {
        let mut current = self.current.lock();
        let is_new = current.as_ref().is_none_or(|current| !std::ptr::eq(current.as_ptr(), Arc::as_ptr(loaded)));
        if is_new {
            *current = Some(Arc::downgrade(loaded));
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    fn current(&self) -> Option<Arc<Loaded>> {
        self.current.lock().as_ref()?.upgrade()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// A tunnel in its home.
struct Bound {
    loaded: Arc<Loaded>,
    home: Arc<Home>,
    tunnel: u64,
    subscription: Subscription,
    /// What it was opened with: it may be opened again.
    view: Arc<View>,
    response: Arc<ResponseView>,
    /// The version in use when it was opened.
    version: u64,
}

/// What `open` answers.
pub(super) type Opened = Option<Box<dyn Session>>;

/// Open a tunnel in an instance.
pub(super) fn open(loaded: &Arc<Loaded>, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<Opened> {
    match loaded.shared.lane {
        Lane::Sync => {
            let since = Reading::now();
            let answer = open_now(loaded, view, response);
            loaded.shared.numbers.worked(loaded.seats.mine(), since);
            Call::Ready(answer)
        }
        Lane::Fiber => {
            let (loaded, view, response) = (Arc::clone(loaded), Arc::clone(view), Arc::clone(response));
            let loaded_too = Arc::clone(&loaded);
            loaded.later(async move { open_later(&loaded_too, &view, &response).await })
        }
    }
}

fn exchange(view: &Arc<View>, response: &Arc<ResponseView>) -> Exchange {
    Exchange { view: Arc::clone(view), response: Some(Arc::clone(response)), choice: None }
}

fn open_now(loaded: &Arc<Loaded>, view: &Arc<View>, response: &Arc<ResponseView>) -> Result<Opened, HookFailure> {
    let (seat, pass) = loaded.enter(Hook::Messages)?;
    let home = match home_of(loaded, seat, view) {
        Some(home) => home,
        None => match Live::make(&loaded.compiled, &loaded.shared) {
            Ok(live) => new_home(loaded, seat, view, live),
            Err(failure) => return Err(loaded.not_made(Hook::Messages, pass, failure)),
        },
    };
    let answer = home.with(|live| judged(live, |live| live.open(exchange(view, response), view.serial)));
    let answer = loaded.finished(Hook::Messages, &home, pass, answer)?;
    Ok(bound(loaded, home, answer, view, response))
}

async fn open_later(
    loaded: &Arc<Loaded>,
    view: &Arc<View>,
    response: &Arc<ResponseView>,
) -> Result<Opened, HookFailure> {
    let (seat, pass) = loaded.enter(Hook::Messages)?;
    let home = match home_of(loaded, seat, view) {
        Some(home) => home,
        None => match Box::pin(Live::make_async(&loaded.compiled, &loaded.shared)).await {
            Ok(live) => new_home(loaded, seat, view, live),
            Err(failure) => return Err(loaded.not_made(Hook::Messages, pass, failure)),
        },
    };
    let answer = {
        let _turn = home.turn.acquire().await;
        let mut held = Held::take(&home);
        let answer = match held.live() {
            Some(live) => {
                let answer = live.open_async(exchange(view, response), view.serial).await;
                Some(judged(live, |_| answer))
            }
            None => None,
        };
        held.give_back(answer.as_ref().is_some_and(Result::is_ok));
        answer
    };
    let answer = loaded.finished(Hook::Messages, &home, pass, answer)?;
    Ok(bound(loaded, home, answer, view, response))
}

/// The home that there is for a tunnel.
fn home_of(loaded: &Loaded, seat: usize, view: &View) -> Option<Arc<Home>> {
    match loaded.isolated {
        None => loaded.homes.find(seat),
        Some(isolated) => isolated.find(view),
    }
}

fn new_home(loaded: &Loaded, seat: usize, view: &View, live: Box<Live>) -> Arc<Home> {
    if let Some(isolated) = loaded.isolated {
        return isolated.settle(view, live);
    }
    let home = Home::new(live);
    loaded.homes.add(seat, &home);
    home
}

fn bound(
    loaded: &Arc<Loaded>,
    home: Arc<Home>,
    subscription: Option<Subscription>,
    view: &Arc<View>,
    response: &Arc<ResponseView>,
) -> Opened {
    let subscription = subscription?;
    home.enter();
    Some(Box::new(Bound {
        version: loaded.line.version(),
        loaded: Arc::clone(loaded),
        home,
        tunnel: view.serial,
        subscription,
        view: Arc::clone(view),
        response: Arc::clone(response),
    }))
}

async fn message_later(
    loaded: Arc<Loaded>,
    home: Arc<Home>,
    tunnel: u64,
    message: Kept,
) -> Result<Judgement, HookFailure> {
    let answer = {
        let _turn = home.turn.acquire().await;
        let mut held = Held::take(&home);
        let answer = match held.live() {
            Some(live) => {
                let answer = live.message_async(tunnel, &message).await;
                Some(judged(live, |_| answer))
            }
            None => None,
        };
        held.give_back(answer.as_ref().is_some_and(Result::is_ok));
        answer
    };
    loaded.finished(Hook::Messages, &home, loaded.guard.free(), answer)
}

async fn close_later(loaded: Arc<Loaded>, home: Arc<Home>, tunnel: u64) {
    let answer = {
        let _turn = home.turn.acquire().await;
        let mut held = Held::take(&home);
        let answer = match held.live() {
            Some(live) => {
                let answer = live.close_async(tunnel).await;
                Some(judged(live, |_| answer))
            }
            None => None,
        };
        held.give_back(answer.as_ref().is_some_and(Result::is_ok));
        answer
    };
    closed(&loaded, &home, tunnel, answer);
}

fn closed(loaded: &Loaded, home: &Arc<Home>, tunnel: u64, answer: Option<Judged<()>>) {
    home.leave(tunnel);
    if answer.is_some() {
        // It was logged and counted; there is no tunnel any more to do anything about.
        let _failed = loaded.finished(Hook::Messages, home, loaded.guard.free(), answer);
    }
}

impl Session for Bound {
    fn plugin(&self) -> &str {
        &self.loaded.shared.name
    }

    fn on_failure(&self) -> OnFailure {
        self.loaded.on_failure
    }

    fn subscription(&self) -> Subscription {
        self.subscription
    }

    fn on_message(&mut self, message: &Message<'_>) -> Call<Judgement> {
        let loaded = &self.loaded;
        let seat = loaded.count(Hook::Messages);
        match loaded.shared.lane {
            Lane::Sync => {
                let (tunnel, since) = (self.tunnel, Reading::now());
                let answer = self.home.with(|live| judged(live, |live| live.message(tunnel, message)));
                let answer = loaded.finished(Hook::Messages, &self.home, loaded.guard.free(), answer);
                loaded.shared.numbers.worked(seat, since);
                Call::Ready(answer)
            }
            Lane::Fiber => {
                let home = Arc::clone(&self.home);
                loaded.later(message_later(Arc::clone(loaded), home, self.tunnel, Kept::new(message)))
            }
        }
    }

    fn state(&self) -> SessionState {
        if self.home.has_failed() {
            SessionState::Failed
        } else if self.loaded.restarts && self.loaded.line.version() != self.version {
            SessionState::Replaced
        } else {
            SessionState::Good
        }
    }

    fn wake_when_failed(&mut self, waker: &Waker) {
        self.home.wake_when_failed(self.tunnel, waker);
    }

    fn reopen(&self) -> Call<Opened> {
        let current = self.loaded.line.current().filter(|_| self.loaded.restarts);
        open(current.as_ref().unwrap_or(&self.loaded), &self.view, &self.response)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let (loaded, tunnel) = (&self.loaded, self.tunnel);
        if self.home.has_failed() {
            return self.home.leave(tunnel);
        }
        match loaded.shared.lane {
            Lane::Sync => {
                let answer = self.home.with(|live| judged(live, |live| live.close(tunnel)));
                closed(loaded, &self.home, tunnel, answer);
            }
            // Outside a worker (the last drops of a stopped server) there is nowhere to run it.
            Lane::Fiber => match tokio::runtime::Handle::try_current() {
                Ok(worker) => {
                    worker.spawn(close_later(Arc::clone(loaded), Arc::clone(&self.home), tunnel));
                }
                Err(_stopped) => self.home.leave(tunnel),
            },
        }
    }
}
