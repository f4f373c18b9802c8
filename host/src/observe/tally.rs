//! What came of the exchanges of one site, or of one peer: counted without that workers
//! meet, and kept over reloads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::seat::seat;

/// Parts of a tally: as many workers count without meeting.
const PARTS: usize = 8;

/// The numbers of one site or peer.
#[derive(Debug, Default)]
pub struct Tally {
    parts: [CachePadded<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    requests: AtomicU64,
    responses: [AtomicU64; 5],
    failures: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// An exchange may end on another thread than it began on, so that parts can be negative.
    active: AtomicI64,
    tunnels: AtomicI64,
}

/// The numbers of a [`Tally`] at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests begun; of a peer, the times that it was asked.
    pub requests: u64,
    /// Exchanges ended, by the class of their status.
    pub responses: [u64; 5],
    /// Times that the peer failed: no connection, no answer, or a bad one.
    pub failures: u64,
    /// Bytes from clients after the head.
    pub bytes_in: u64,
    /// Bytes to clients after the head.
    pub bytes_out: u64,
    /// Exchanges and tunnels that go on.
    pub active: u64,
    /// Tunnels that are open.
    pub tunnels: u64,
}

/// An exchange in a tally, until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    tally: Arc<Tally>,
    is_tunnel: bool,
}

impl Tally {
    fn part(&self) -> Option<&Part> {
        self.parts.get(seat() % PARTS).map(|part| &**part)
    }

    /// One more exchange.
    pub(super) fn enter(self: &Arc<Self>) -> Counted {
        if let Some(part) = self.part() {
            part.requests.fetch_add(1, Ordering::Relaxed);
            part.active.fetch_add(1, Ordering::Relaxed);
        }
        Counted { tally: Arc::clone(self), is_tunnel: false }
    }

    /// Its numbers now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let (mut active, mut tunnels) = (0, 0);
        for part in &self.parts {
            let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
            totals.requests += load(&part.requests);
            totals.failures += load(&part.failures);
            totals.bytes_in += load(&part.bytes_in);
            totals.bytes_out += load(&part.bytes_out);
            for (sum, count) in totals.responses.iter_mut().zip(&part.responses) {
                *sum += load(count);
            }
            active += part.active.load(Ordering::Relaxed);
            tunnels += part.tunnels.load(Ordering::Relaxed);
        }
        totals.active = u64::try_from(active).unwrap_or_default();
        totals.tunnels = u64::try_from(tunnels).unwrap_or_default();
        totals
    }
}

impl Totals {
    /// Add another's numbers to these.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.active += other.active;
        self.tunnels += other.tunnels;
        for (sum, count) in self.responses.iter_mut().zip(other.responses) {
            *sum += count;
        }
    }
}

impl Counted {
    /// It has become a tunnel.
    pub(super) fn tunnel(&mut self) {
        let is_new = !std::mem::replace(&mut self.is_tunnel, true);
        if let Some(part) = self.tally.part().filter(|_| is_new) {
            part.tunnels.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The peer failed.
    pub(super) fn failed(&self) {
        if let Some(part) = self.tally.part() {
            part.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has ended with this status, after so many bytes each way.
    pub(super) fn ended(&self, status: u16, bytes_in: u64, bytes_out: u64) {
        let Some(part) = self.tally.part() else { return };
        if let Some(count) = part.responses.get(class(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        part.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        part.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(part) = self.tally.part() else { return };
        part.active.fetch_sub(1, Ordering::Relaxed);
        if self.is_tunnel {
            part.tunnels.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// 0 for 1xx to 4 for 5xx and above.
pub(super) fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, 5) - 1
}

/// What a tally is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A site, by its first name.
    Site(Arc<str>),
    /// A stream, by its name.
    Stream(Arc<str>),
    /// A peer, by the names of its upstream and itself.
    Peer(Arc<str>, Arc<str>),
}

/// All tallies of a server. Those of a site or peer go with it when the configuration has it
/// no more, and go on where it has.
#[derive(Debug, Default)]
pub struct Tallies(Mutex<BTreeMap<Subject, Weak<Tally>>>);

impl Tallies {
    /// The tally of a site or peer.
    pub fn of(&self, subject: Subject) -> Arc<Tally> {
        let mut all = self.0.lock();
        if let Some(found) = all.get(&subject).and_then(Weak::upgrade) {
            return found;
        }
        all.retain(|_, tally| tally.strong_count() > 0);
        let new = Arc::new(Tally::default());
        all.insert(subject, Arc::downgrade(&new));
        new
    }

    /// Every tally's numbers now, sites first, by name.
    pub fn read(&self) -> Vec<(Subject, Totals)> {
        let all = self.0.lock();
        all.iter().filter_map(|(subject, tally)| Some((subject.clone(), tally.upgrade()?.totals()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_elsewhere_is_counted_right() {
        let tallies = Tallies::default();
        let tally = tallies.of(Subject::Site("a".into()));
        let mut open = tally.enter();
        open.tunnel();
        open.tunnel();
        let both = tally.enter();
        assert_eq!((tally.totals().active, tally.totals().tunnels), (2, 1));
        std::thread::spawn(move || {
            both.ended(204, 1, 2);
            both.failed();
            open.ended(101, 10, 20);
        })
        .join()
        .unwrap();
        let expected = Totals {
            requests: 2,
            responses: [1, 1, 0, 0, 0],
            failures: 1,
            bytes_in: 11,
            bytes_out: 22,
            active: 0,
            tunnels: 0,
        };
        assert_eq!(tallies.of(Subject::Site("a".into())).totals(), expected, "the same tally");
        assert_eq!(tallies.read(), [(Subject::Site("a".into()), expected)]);
        drop(tally);
        assert_eq!(tallies.of(Subject::Site("a".into())).totals(), Totals::default(), "it went with its site");
    }

    #[test]
    fn every_status_has_a_class() {
        for (status, expected) in [(101, 0), (200, 1), (499, 3), (599, 4), (700, 4), (0, 0)] {
            assert_eq!(class(status), expected);
        }
    }
}
