//! The least busy peer by weight, and the one that is likely to answer first.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::round_robin::RoundRobin;
use super::{Candidates, Policy, dice};
use crate::upstream::board::{Block, Column};
use crate::upstream::vitals::WHOLE;
use crate::upstream::{Peer, Tick};

/// Turns to look at for one of several equals, before all are looked at.
const TURNS: usize = 32;
/// What times are forgiven in.
const SECOND: u64 = 1000;

/// What a peer costs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cost {
    /// Exchanges and tunnels that it serves. nginx: `least_conn`.
    Connections,
    /// The average time until the head or the last byte, times what it serves and one more.
    /// nginx: `least_time`.
    Time(Column),
}

/// The peer with the least cost by weight; equals take turns, as in nginx.
#[derive(Debug)]
pub(super) struct Least {
    cost: Cost,
    turn: RoundRobin,
    weights: Box<[u32]>,
    rows: Box<[Row]>,
    heaviest: u32,
    /// When times were last forgiven, as a [`Tick`].
    settled: AtomicU64,
}

/// Peers whose numbers are in a row.
#[derive(Debug)]
struct Row {
    block: Arc<Block>,
    places: Range<usize>,
}

/// The best so far: its cost is `load / weight`, and exactly so, since fractions are compared
/// by cross-multiplication.
#[derive(Debug, Clone, Copy)]
struct Best {
    index: usize,
    load: u64,
    weight: u64,
    /// How many others are as good, admitted or not.
    equals: u64,
}

impl Least {
    pub(super) fn new(cost: Cost, peers: &[Arc<Peer>]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for peer in peers {
            let (block, place) = peer.vitals.place();
            match rows.last_mut().filter(|row| Arc::ptr_eq(&row.block, block) && row.places.end == place) {
                Some(row) => row.places.end += 1,
                None => rows.push(Row { block: Arc::clone(block), places: place..place + 1 }),
            }
        }
        Self {
            cost,
            turn: RoundRobin::new(peers),
            weights: peers.iter().map(|peer| peer.weight).collect(),
            rows: rows.into(),
            heaviest: peers.iter().map(|peer| peer.weight).max().unwrap_or(1),
            settled: AtomicU64::new(0),
        }
    }

    /// Once a second.
    fn settle(&self, candidates: &Candidates<'_>) {
        let now = candidates.ask.now;
        let before = self.settled.load(Ordering::Relaxed);
        if now.get().saturating_sub(before) >= SECOND
            && self.settled.compare_exchange(before, now.get(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            candidates.peers.iter().for_each(|peer| peer.vitals.settle(now));
        }
    }

    fn load(&self, peer: &Peer) -> u64 {
        match self.cost {
            Cost::Connections => peer.vitals.active().into(),
            Cost::Time(column) => time(peer.vitals.rank(column), peer.vitals.active()),
        }
    }

    /// Whether nothing can cost less than this peer: then it is among the equals, and its turn.
    fn is_least(&self, peer: &Peer) -> bool {
        match self.cost {
            Cost::Connections => peer.vitals.active() == 0,
            Cost::Time(_) => peer.weight == self.heaviest && self.load(peer) <= time(0, 0),
        }
    }

    fn scan(&self, candidates: &Candidates<'_>) -> Option<Best> {
        let mut search = Search { candidates, best: None, load: 1, weight: 0 };
        let mut first = 0;
        for row in &self.rows {
            let end = first + row.places.len();
            let weights = self.weights.get(first..end).unwrap_or_default();
            let active = row.block.active(&row.places);
            let each = weights.iter().zip(active).zip(first..);
            match self.cost {
                Cost::Connections => {
                    for ((weight, active), index) in each {
                        search.meet(index, u64::from(active.load(Ordering::Relaxed)), *weight);
                    }
                }
                Cost::Time(column) => {
                    for (((weight, active), index), rank) in each.zip(row.block.ranks(column, &row.places)) {
                        search.meet(index, time(read(rank), read(active)), *weight);
                    }
                }
            }
            first = end;
        }
        search.best
    }

    /// Of several equals the one whose turn it is.
    fn among(&self, candidates: &Candidates<'_>, best: Best) -> usize {
        let is_equal = |index: usize| {
            candidates.peers.get(index).is_some_and(|peer| {
                let (load, weight) = reduced(self.load(peer), peer, candidates.ask.now);
                load * best.weight == best.load * weight
            })
        };
        let fits = |index: &usize| is_equal(*index) && candidates.may(*index) && candidates.takes_turn(*index);
        let by_turn = (0..TURNS.min(candidates.peers.len() * 2)).find_map(|_| self.turn.next().filter(fits));
        by_turn
            .or_else(|| {
                // Few equals among many: one of them by lot.
                let skipped = usize::try_from(dice::below(best.equals + 1)).unwrap_or(0);
                (0..candidates.peers.len()).filter(|index| is_equal(*index)).skip(skipped).find(fits)
            })
            .unwrap_or(best.index)
    }
}

impl Policy for Least {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        if matches!(self.cost, Cost::Time(_)) {
            self.settle(candidates);
        }
        let next = self.turn.next();
        let idle = next.filter(|next| {
            candidates.peers.get(*next).is_some_and(|peer| self.is_least(peer))
                && candidates.may(*next)
                && candidates.takes_turn(*next)
        });
        if idle.is_some() {
            return idle;
        }
        match self.scan(candidates) {
            Some(best) if best.equals > 0 => {
                // The turn that was looked at above is among them.
                let next = next.filter(|next| {
                    *next == best.index
                        || candidates.peers.get(*next).is_some_and(|peer| {
                            let (load, weight) = reduced(self.load(peer), peer, candidates.ask.now);
                            load * best.weight == best.load * weight
                        }) && candidates.may(*next)
                            && candidates.takes_turn(*next)
                });
                Some(next.unwrap_or_else(|| self.among(candidates, best)))
            }
            Some(best) => Some(best.index),
            // Those that may be chosen have let their turn go by.
            None => candidates.by_lot(),
        }
    }

    fn measures(&self) -> bool {
        matches!(self.cost, Cost::Time(_))
    }
}

/// A walk over all peers.
struct Search<'a> {
    candidates: &'a Candidates<'a>,
    best: Option<Best>,
    /// The best's, or what anything is better than.
    load: u64,
    weight: u64,
}

impl Search<'_> {
    fn meet(&mut self, index: usize, load: u64, weight: u32) {
        let (theirs, ours) = (load * self.weight, self.load * u64::from(weight));
        if theirs > ours {
            return;
        }
        if theirs == ours {
            if let Some(best) = &mut self.best {
                best.equals += 1;
            }
            return;
        }
        self.consider(index, load);
    }

    /// One that would be better: only these are asked whether they can serve.
    #[cold]
    fn consider(&mut self, index: usize, load: u64) {
        let Some(peer) = self.candidates.peers.get(index) else { return };
        let (load, weight) = reduced(load, peer, self.candidates.ask.now);
        if load * self.weight < self.load * weight && self.candidates.may(index) && self.candidates.takes_turn(index) {
            (self.load, self.weight) = (load, weight);
            self.best = Some(Best { index, load, weight, equals: 0 });
        }
    }
}

/// Load and weight of a peer, with the share that it has now: one that begins slowly is full with
/// less, so that it gets no more than its share while it has nothing to do yet.
fn reduced(load: u64, peer: &Peer, now: Tick) -> (u64, u64) {
    let (share, weight) = (peer.share(now), u64::from(peer.weight));
    if share >= WHOLE { (load, weight) } else { (load * u64::from(WHOLE), weight * u64::from(share)) }
}

/// The time that a peer will need for one more, if it serves `active` now.
fn time(rank: u32, active: u32) -> u64 {
    // Nothing is known of a new one: it counts as quick. The products must fit.
    u64::from(rank.max(20)) * (u64::from(active.min(1 << 16)) + 1)
}

fn read(cell: &AtomicU32) -> u32 {
    cell.load(Ordering::Relaxed)
}
