//! The least busy peer by weight, and the one that is likely to answer first.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::round_robin::RoundRobin;
use super::search::{CHUNK, Chunk, Found, Lot, Search, Visitor};
use super::{Candidates, Policy, dice};
use crate::upstream::Peer;
use crate::upstream::board::{Block, Column};

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
    rows: Box<[Row]>,
    heaviest: u32,
    /// When times were last forgiven, as a [`Tick`](crate::upstream::Tick).
    settled: AtomicU64,
}

/// Peers whose numbers are in a row.
#[derive(Debug)]
struct Row {
    block: Arc<Block>,
    places: Range<usize>,
    /// The index of the first peer.
    first: usize,
    /// Their weights, in chunks.
    weights: Box<[Chunk]>,
}

impl Row {
    /// The cost of each, in chunks, with the index of the chunk's first peer and the weights.
    fn chunks(&self, cost: Cost) -> impl Iterator<Item = (usize, Chunk, &Chunk)> {
        let ranks = match cost {
            Cost::Connections => &[],
            Cost::Time(column) => self.block.ranks(column, &self.places),
        };
        let mut ranks = ranks.chunks(CHUNK);
        let active = self.block.active(&self.places).chunks(CHUNK);
        active.zip(&self.weights).zip((self.first..).step_by(CHUNK)).map(move |((active, weights), first)| {
            let active = Chunk::of(active, read);
            let loads = match ranks.next() {
                None => active,
                Some(ranks) => Chunk::of(ranks, read).with(&active, time),
            };
            (first, loads, weights)
        })
    }

    /// The cost of the peer with this index, and its weight.
    fn read(&self, cost: Cost, index: usize) -> Option<(f32, f32)> {
        let place = index.checked_sub(self.first)?;
        let active = read(self.block.active(&self.places).get(place)?);
        let load = match cost {
            Cost::Connections => active,
            Cost::Time(column) => time(read(self.block.ranks(column, &self.places).get(place)?), active),
        };
        Some((load, self.weights.get(place / CHUNK)?.get(place % CHUNK)?))
    }
}

impl Least {
    pub(super) fn new(cost: Cost, peers: &[Arc<Peer>]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for (index, peer) in peers.iter().enumerate() {
            let (block, place) = peer.vitals.place();
            match rows.last_mut().filter(|row| Arc::ptr_eq(&row.block, block) && row.places.end == place) {
                Some(row) => row.places.end += 1,
                None => rows.push(Row {
                    block: Arc::clone(block),
                    places: place..place + 1,
                    first: index,
                    weights: Box::default(),
                }),
            }
        }
        for row in &mut rows {
            let peers = peers.get(row.first..row.first + row.places.len()).unwrap_or_default();
            row.weights = peers.chunks(CHUNK).map(|peers| Chunk::of(peers, |peer| number(peer.weight))).collect();
        }
        Self {
            cost,
            turn: RoundRobin::new(peers),
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

    /// Whether nothing can cost less than this peer: then it is among the equals, and its turn.
    fn is_least(&self, peer: &Peer) -> bool {
        let active = peer.vitals.active();
        match self.cost {
            Cost::Connections => active == 0,
            Cost::Time(column) => {
                peer.weight == self.heaviest && time(number(peer.vitals.rank(column)), number(active)) <= time(0.0, 0.0)
            }
        }
    }

    /// Show all peers to a visitor, in order.
    fn show(&self, visitor: &mut impl Visitor) {
        for row in &self.rows {
            row.chunks(self.cost).for_each(|(first, loads, weights)| visitor.meet(first, &loads, weights));
        }
    }

    /// The cost of a peer, read where all peers' numbers are, and its weight.
    fn read(&self, index: usize) -> Option<(f32, f32)> {
        // There are few rows: each block is twice as long as the one before.
        self.rows.iter().rev().find(|row| row.first <= index)?.read(self.cost, index)
    }

    /// Of several equals the one whose turn it is.
    fn among(&self, candidates: &Candidates<'_>, found: &Found) -> usize {
        let fits = |index: &usize| candidates.may(*index) && candidates.takes_turn(*index);
        let is_equal = |index: &usize| self.read(*index).is_some_and(|(load, weight)| found.is_equal(load, weight));
        let turns = TURNS.min(candidates.peers.len() * 2);
        let by_turn = (0..turns).filter_map(|_| self.turn.next()).filter(is_equal).find(fits);
        by_turn
            .or_else(|| {
                // Few equals among many: one of them by lot.
                let skip = usize::try_from(dice::below(found.equals + 1)).unwrap_or(0);
                let mut lot = Lot { found, skip, chosen: None };
                self.show(&mut lot);
                lot.chosen.filter(fits)
            })
            .unwrap_or(found.index)
    }
}

impl Policy for Least {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        if matches!(self.cost, Cost::Time(_)) {
            self.settle(candidates);
        }
        let fits = |index: &usize| candidates.may(*index) && candidates.takes_turn(*index);
        let next = self.turn.next().filter(fits);
        let idle = next.filter(|next| candidates.peers.get(*next).is_some_and(|peer| self.is_least(peer)));
        if idle.is_some() {
            return idle;
        }
        // Whose turn it is must be beaten: where all are about as busy, few do.
        let mut search = Search::new(candidates, next.and_then(|next| Some((next, self.read(next)?))));
        self.show(&mut search);
        match search.end() {
            Some(found) if found.equals == 0 || Some(found.index) == next => Some(found.index),
            Some(found) => Some(self.among(candidates, &found)),
            // Those that may be chosen have let their turn go by.
            None => candidates.by_lot(),
        }
    }

    fn measures(&self) -> bool {
        matches!(self.cost, Cost::Time(_))
    }
}

/// The time that a peer will need for one more, if it serves `active` now.
fn time(rank: f32, active: f32) -> f32 {
    // Nothing is known of a new one: it counts as quick.
    rank.max(20.0) * (active + 1.0)
}

fn read(cell: &AtomicU32) -> f32 {
    number(cell.load(Ordering::Relaxed))
}

/// As a number to reckon with; no counter has the uppermost bit, and signed ones take one
/// instruction.
fn number(count: u32) -> f32 {
    count.cast_signed() as f32
}
