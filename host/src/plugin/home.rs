//! Instances that tunnels live in: one serves many tunnels of one worker, and keeps what the
//! plugin knows of each until it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::failure::{Failure, Fault};
use super::instance::Live;
use super::loaded::Loaded;
use super::quarantine::Pass;
use crate::hook::{Hook, HookFailure, HookFailureKind};

/// Tunnels that an instance has before another one is made, where another may be.
pub(super) const CROWDED: usize = 64;

/// An instance and the tunnels that live in it.
pub(super) struct Home {
    /// None while a call of the fiber lane has it, and once it has failed. Never locked across an
    /// await, and by one worker only.
    live: Mutex<Option<Box<Live>>>,
    /// Whose call it is, in the fiber lane.
    pub(super) turn: Semaphore,
    failed: AtomicBool,
    /// Whether it was taken out of its street, whichever that was.
    retired: AtomicBool,
    tunnels: AtomicUsize,
    /// Whom to wake where it fails.
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Home {
    pub(super) fn new(live: Box<Live>) -> Arc<Self> {
        Arc::new(Self {
            live: Mutex::new(Some(live)),
            turn: Semaphore::new(1),
            failed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            tunnels: AtomicUsize::new(0),
            wakers: Mutex::default(),
        })
    }

    /// Work with the instance; none where it has failed.
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.live.lock().as_mut().map(|live| call(live))
    }

    /// Take the instance for a call of the fiber lane; the caller has its turn.
    pub(super) fn take(&self) -> Option<Box<Live>> {
        self.live.lock().take()
    }

    /// Give it back.
    pub(super) fn put(&self, live: Box<Live>) {
        *self.live.lock() = Some(live);
    }

    /// A tunnel moves in.
    pub(super) fn enter(&self) {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn leave(&self, tunnel: u64) {
        self.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.wakers.lock().remove(&tunnel);
    }

    pub(super) fn wake_when_failed(&self, tunnel: u64, waker: &Waker) {
        self.wakers.lock().insert(tunnel, waker.clone());
        if self.has_failed() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Its instance is gone, and with it what it knew of every tunnel.
    #[cold]
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        drop(self.take());
        let wakers = std::mem::take(&mut *self.wakers.lock());
        wakers.into_values().for_each(Waker::wake);
    }
}

/// The homes on one worker.
type Street = Mutex<Vec<Arc<Home>>>;

/// The homes of one plugin, by worker.
pub(super) struct Homes {
    streets: Box<[CachePadded<Street>]>,
    /// How many a worker has at most.
    most: usize,
    /// Tunnels of one before another one is made.
    crowded: usize,
}

impl Homes {
    pub(super) fn new(workers: usize, most: usize, crowded: usize) -> Self {
        let streets = (0..workers.max(1)).map(|_| CachePadded::default()).collect();
        Self { streets, most: most.max(1), crowded }
    }

    /// The home for a tunnel that opens on this seat: the emptiest; none where there is to be a new one.
    pub(super) fn find(&self, seat: usize) -> Option<Arc<Home>> {
        let homes = self.street(seat)?.lock();
        let load = |home: &Arc<Home>| home.tunnels.load(Ordering::Relaxed);
        let emptiest = homes.iter().filter(|home| !home.has_failed()).min_by_key(|home| load(home))?;
        let may_be_more = homes.len() < self.most;
        (!may_be_more || load(emptiest) < self.crowded).then(|| Arc::clone(emptiest))
    }

    /// There is a new one.
    pub(super) fn add(&self, seat: usize, home: &Arc<Home>) {
        if let Some(street) = self.street(seat) {
            let mut homes = street.lock();
            homes.retain(|home| !home.has_failed());
            homes.push(Arc::clone(home));
        }
    }

    /// No more tunnels move into it; those that are there stay.
    pub(super) fn retire(&self, home: &Arc<Home>) {
        for street in &self.streets {
            street.lock().retain(|other| !Arc::ptr_eq(other, home));
        }
    }

    fn street(&self, seat: usize) -> Option<&Street> {
        self.streets.get(seat % self.streets.len()).map(|street| &**street)
    }
}

/// What a call in an instance came to: with the failure in words, and whether more tunnels may
/// move in.
pub(super) type Judged<T> = Result<(T, bool), Failure>;

/// Call, and judge what came of it.
pub(super) fn judged<T>(live: &mut Live, call: impl FnOnce(&mut Live) -> Result<T, Fault>) -> Judged<T> {
    match call(live) {
        Ok(answer) => Ok((answer, live.is_good())),
        Err(fault) => Err(live.failure(&fault)),
    }
}

/// An instance on loan. Dropped half-way it takes its home with it, since nobody could call the
/// instance again.
pub(super) struct Held<'a> {
    home: &'a Home,
    live: Option<Box<Live>>,
}

impl<'a> Held<'a> {
    /// Take it; the caller has its turn.
    pub(super) fn take(home: &'a Home) -> Self {
        Self { home, live: home.take() }
    }

    /// The instance; none where it has failed.
    pub(super) fn live(&mut self) -> Option<&mut Live> {
        self.live.as_deref_mut()
    }

    /// Give it back, unless it has failed.
    pub(super) fn give_back(mut self, is_good: bool) {
        if let Some(live) = self.live.take().filter(|_| is_good) {
            self.home.put(live);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.live.is_some() {
            self.home.fail();
        }
    }
}

impl Loaded {
    /// After a call in a home: none where the home has no instance any more.
    pub(super) fn finished<T>(
        &self,
        hook: Hook,
        home: &Arc<Home>,
        pass: Pass<'_>,
        answer: Option<Judged<T>>,
    ) -> Result<T, HookFailure> {
        match answer {
            Some(Ok((answer, is_good))) => {
                self.went_well(pass, self.seats.mine());
                if !is_good {
                    self.retire(home);
                }
                Ok(answer)
            }
            Some(Err(failure)) => {
                home.fail();
                self.retire(home);
                Err(self.failed(hook, pass, failure))
            }
            None => {
                let detail = "its instance failed for another one".to_owned();
                Err(self.hook_failure(hook, HookFailureKind::Trap, detail))
            }
        }
    }

    /// Nobody moves into it any more, whichever kind of home it is.
    #[cold]
    fn retire(&self, home: &Arc<Home>) {
        // Asked for again with every call for those that stay.
        if home.retired.load(Ordering::Relaxed) || home.retired.swap(true, Ordering::Relaxed) {
            return;
        }
        self.homes.retire(home);
        self.body_homes.retire(home);
    }
}
