//! How many handshakes, and where asked plain requests, an upstream is given at once, over all
//! workers: when everybody connects again at the same time, a backend sees them a few at a time.
//!
//! Who finds all places taken waits in a queue of bounded length and for a bounded time, first
//! come, first served. A place is held from before a peer is picked to the head of the answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Tick;
use super::policy::dice::below;
use crate::config;
use crate::error::{Error, Kind};

/// How often the log says that there are refusals.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Requests to leave HTTP: WebSocket handshakes and their like.
    Handshake,
    /// All others.
    Request,
}

impl Class {
    /// Its name, in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshakes",
            Self::Request => "requests",
        }
    }
}

/// The gates of an upstream.
#[derive(Debug)]
pub struct Admission {
    settings: config::Admission,
    upstream: Arc<str>,
    handshakes: Option<Arc<Gate>>,
    requests: Option<Arc<Gate>>,
}

/// The places of one class. What it counts goes on over reloads.
#[derive(Debug)]
pub struct Gate {
    free: Arc<Semaphore>,
    /// Places in all.
    most: AtomicU32,
    /// Places that are taken, and are no more there once they are given back.
    surplus: AtomicU32,
    taken: AtomicU32,
    queued: AtomicU32,
    refused: AtomicU64,
    /// When the log last said that there are refusals, as a [`Tick`].
    said: AtomicU64,
}

/// A place at a gate, until this is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The numbers of a gate at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateCounts {
    /// Places in all.
    pub most: u32,
    /// Places that are taken.
    pub in_flight: u32,
    /// Those who wait for one.
    pub queued: u32,
    /// Those who were refused since the process began.
    pub refused: u64,
}

/// The gates in use, by upstream and class.
#[derive(Debug, Default)]
pub struct Gates(Mutex<HashMap<Entrance, Weak<Gate>>>);

/// Of which upstream, and what it is that comes in.
type Entrance = (Arc<str>, Class);

impl Gates {
    /// One gate with so many places: as it is if anyone holds it, else a new one.
    fn of(&self, upstream: &Arc<str>, class: Class, most: u32) -> Arc<Gate> {
        let mut all = self.0.lock();
        all.retain(|_, gate| gate.strong_count() > 0);
        let kept = all.entry((Arc::clone(upstream), class)).or_default();
        if let Some(gate) = kept.upgrade() {
            gate.resize(most);
            return gate;
        }
        let gate = Arc::new(Gate::new(most));
        *kept = Arc::downgrade(&gate);
        gate
    }
}

impl Admission {
    /// The gates of an upstream. Those who are in, and those who wait, stay so over a reload.
    pub(super) fn new(settings: config::Admission, upstream: &Arc<str>, gates: &Gates) -> Self {
        let gate = |class, most: Option<u32>| most.map(|most| gates.of(upstream, class, most));
        Self {
            handshakes: gate(Class::Handshake, settings.handshakes),
            requests: gate(Class::Request, settings.requests),
            upstream: Arc::clone(upstream),
            settings,
        }
    }

    /// Its gates.
    pub fn gates(&self) -> impl Iterator<Item = (Class, &Arc<Gate>)> {
        let handshakes = self.handshakes.iter().map(|gate| (Class::Handshake, gate));
        handshakes.chain(self.requests.iter().map(|gate| (Class::Request, gate)))
    }

    /// Wait for a place; none where this class is not limited. Whoever drops the future has left
    /// the queue.
    ///
    /// # Errors
    /// [`Kind::Admission`] where the queue is full or the wait was too long.
    pub async fn enter(&self, class: Class) -> Result<Option<Place>, Error> {
        let gate = match class {
            Class::Handshake => &self.handshakes,
            Class::Request => &self.requests,
        };
        let Some(gate) = gate else { return Ok(None) };
        match gate.enter(self.settings.queue, self.settings.wait).await {
            Some(place) => Ok(Some(place)),
            None => Err(self.refuse(class, gate)),
        }
    }

    fn refuse(&self, class: Class, gate: &Gate) -> Error {
        gate.refused.fetch_add(1, Ordering::Relaxed);
        let (now, said) = (Tick::now(), gate.said.load(Ordering::Relaxed));
        let is_due = said == 0 || now.since(Tick::from_number(said)) >= SAID_EVERY;
        if is_due && gate.said.compare_exchange(said, now.get(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let GateCounts { most, queued, refused, .. } = gate.counts();
            tracing::warn!(upstream = %self.upstream, class = class.name(), most, queued, refused, "admission refuses");
        }
        let seconds = u32::try_from(self.settings.retry_after.as_secs()).unwrap_or(u32::MAX / 2).max(1);
        // Spread over as long again: clients that come back together are what this is against.
        let seconds = seconds.saturating_add(u32::try_from(below(u64::from(seconds) + 1)).unwrap_or_default());
        Error::new(Kind::Admission(seconds), format!("too many {} for `{}`", class.name(), self.upstream))
    }
}

impl Gate {
    fn new(most: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most as usize)),
            most: AtomicU32::new(most),
            surplus: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            said: AtomicU64::new(0),
        }
    }

    /// Its numbers now.
    pub fn counts(&self) -> GateCounts {
        GateCounts {
            most: self.most.load(Ordering::Relaxed),
            in_flight: self.taken.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// A place at once, or after a wait in the queue; none where that is full or it took too long.
    async fn enter(self: &Arc<Self>, queue: u32, wait: Duration) -> Option<Place> {
        // Permits go to those who wait first, so nobody is overtaken here.
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(self.place(permit));
        }
        let room = |queued: u32| (queued < queue).then(|| queued + 1);
        self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        let _queued = Queued(self);
        // The semaphore is never closed.
        let permit = tokio::time::timeout(wait, Arc::clone(&self.free).acquire_owned()).await.ok()?.ok()?;
        Some(self.place(permit))
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Place { gate: Arc::clone(self), permit: Some(permit) }
    }

    /// Have so many places from now on. Where there were more, those that are taken go when they
    /// are given back.
    fn resize(&self, most: u32) {
        let before = self.most.swap(most, Ordering::Relaxed);
        if most > before {
            let more = most - before;
            let kept = |surplus: u32| Some(surplus.saturating_sub(more));
            let surplus = self.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, kept).unwrap_or_default();
            self.free.add_permits(more.saturating_sub(surplus) as usize);
        } else if most < before {
            let gone = self.free.forget_permits((before - most) as usize);
            self.surplus.fetch_add(before - most - u32::try_from(gone).unwrap_or_default(), Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.taken.fetch_sub(1, Ordering::Relaxed);
        let one_less = |surplus: u32| surplus.checked_sub(1);
        if self.gate.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

/// Someone in the queue, until this is dropped.
struct Queued<'a>(&'a Gate);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn poll<F: Future + ?Sized>(future: &mut std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn counts(gate: &Gate) -> (u32, u32) {
        (gate.counts().in_flight, gate.counts().queued)
    }

    #[tokio::test]
    async fn first_come_first_served() {
        let gate = Arc::new(Gate::new(1));
        let place = gate.enter(2, LONG).await.unwrap();
        let (mut first, mut second) = (pin!(gate.enter(2, LONG)), pin!(gate.enter(2, LONG)));
        assert!(poll(&mut first.as_mut()).is_pending() && poll(&mut second.as_mut()).is_pending());
        assert_eq!(counts(&gate), (1, 2));
        assert!(gate.enter(2, LONG).await.is_none(), "the queue is full");
        drop(place);
        assert!(poll(&mut second.as_mut()).is_pending());
        let Poll::Ready(Some(place)) = poll(&mut first.as_mut()) else { panic!("the first is next") };
        drop(place);
        assert!(matches!(poll(&mut second.as_mut()), Poll::Ready(Some(_))));
        assert_eq!(counts(&gate), (0, 0));
    }

    #[tokio::test]
    async fn who_leaves_the_queue_holds_up_nobody() {
        let gate = Arc::new(Gate::new(1));
        let place = gate.enter(2, LONG).await.unwrap();
        {
            let mut gone = pin!(gate.enter(2, LONG));
            assert!(poll(&mut gone.as_mut()).is_pending());
        }
        assert_eq!(counts(&gate), (1, 0));
        let mut next = pin!(gate.enter(2, LONG));
        assert!(poll(&mut next.as_mut()).is_pending());
        drop(place);
        assert!(matches!(poll(&mut next.as_mut()), Poll::Ready(Some(_))));
    }

    #[tokio::test]
    async fn the_wait_ends() {
        let gate = Arc::new(Gate::new(1));
        let _place = gate.enter(1, LONG).await.unwrap();
        assert!(gate.enter(1, Duration::from_millis(1)).await.is_none());
        assert_eq!(counts(&gate), (1, 0));
    }

    #[tokio::test]
    async fn places_come_and_go_with_reloads() {
        let gates = Gates::default();
        let name: Arc<str> = "chat".into();
        let gate = gates.of(&name, Class::Handshake, 3);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(gate.enter(0, LONG).await.unwrap());
        }
        let fewer = gates.of(&name, Class::Handshake, 1);
        assert!(Arc::ptr_eq(&gate, &fewer) && gate.counts().in_flight == 3);
        places.truncate(1);
        assert!(gate.enter(0, LONG).await.is_none(), "one is taken, and one there is");
        places.clear();
        let place = gate.enter(0, LONG).await.unwrap();
        assert!(gate.enter(0, LONG).await.is_none());
        // More again, while one that is to go is still taken.
        gates.of(&name, Class::Handshake, 2);
        let second = gate.enter(0, LONG).await.unwrap();
        assert!(gate.enter(0, LONG).await.is_none());
        gates.of(&name, Class::Handshake, 1);
        gates.of(&name, Class::Handshake, 2);
        drop((place, second));
        let both = (gate.enter(0, LONG).await, gate.enter(0, LONG).await, gate.enter(0, LONG).await);
        assert!(both.0.is_some() && both.1.is_some() && both.2.is_none());
        assert!(gates.of(&name, Class::Request, 1).counts().most == 1, "classes are apart");
    }

    #[test]
    fn clients_are_told_to_come_back_at_different_times() {
        let settings = config::Admission {
            handshakes: Some(1),
            requests: None,
            queue: 0,
            wait: LONG,
            retry_after: Duration::from_secs(10),
        };
        let admission = Admission::new(settings, &"chat".into(), &Gates::default());
        let gate = Gate::new(1);
        let told: std::collections::BTreeSet<u32> = (0..1000)
            .filter_map(|_| match admission.refuse(Class::Handshake, &gate).kind {
                Kind::Admission(seconds) => Some(seconds),
                _ => None,
            })
            .collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), (10..=20).collect::<Vec<_>>());
        assert_eq!(gate.counts().refused, 1000);
    }
}
