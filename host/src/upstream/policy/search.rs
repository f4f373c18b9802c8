//! The least of all peers by load and weight, found in one walk over plain numbers.
//!
//! Costs are `load / weight`, compared by cross-multiplication, a chunk of peers by a few vector
//! instructions: `f32` makes twice as many at once as any type that is exact. It is exact while
//! load times weight is below 2²⁴; above, two that differ by less than a ten-millionth are equals.

use super::Candidates;
use crate::upstream::vitals::WHOLE;
use crate::upstream::{Peer, Tick};

/// Peers that are compared at once.
pub(super) const CHUNK: usize = 16;

/// A number of each of [`CHUNK`] peers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk([f32; CHUNK]);

/// Who looks at all peers.
pub(super) trait Visitor {
    /// Meet a chunk of them, the first of which has the index `first`.
    fn meet(&mut self, first: usize, loads: &Chunk, weights: &Chunk);
}

/// The walk that finds the best.
pub(super) struct Search<'a> {
    candidates: &'a Candidates<'a>,
    best: Best,
    /// The best's index; none yet where nobody was found.
    index: Option<usize>,
    equals: u64,
}

/// What is to be beaten.
#[derive(Debug, Clone, Copy)]
struct Best {
    load: f32,
    weight: f32,
}

/// What a search has found.
pub(super) struct Found {
    /// The best: the one that the search began with, or the first of several.
    pub(super) index: usize,
    /// How many are as good, admitted or not; the one that the search began with is among them.
    pub(super) equals: u64,
    best: Best,
}

/// A walk that chooses one of several equals: that which comes after `skip` others.
pub(super) struct Lot<'a> {
    pub(super) found: &'a Found,
    pub(super) skip: usize,
    pub(super) chosen: Option<usize>,
}

impl Chunk {
    /// Those of up to [`CHUNK`] items. The rest is no number: it is neither less than anything nor
    /// equal to it.
    pub(super) fn of<T>(items: &[T], number: impl Fn(&T) -> f32) -> Self {
        let mut chunk = [f32::NAN; CHUNK];
        match <&[T; CHUNK]>::try_from(items) {
            // Of a length that the compiler knows.
            Ok(items) => chunk = items.each_ref().map(number),
            Err(_) => chunk.iter_mut().zip(items).for_each(|(place, item)| *place = number(item)),
        }
        Self(chunk)
    }

    /// Each put together with the one of another chunk.
    pub(super) fn with(mut self, other: &Self, both: impl Fn(f32, f32) -> f32) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one = both(*one, *other));
        self
    }

    /// That of the peer at this place.
    pub(super) fn get(&self, place: usize) -> Option<f32> {
        self.0.get(place).copied()
    }
}

impl Best {
    fn is_beaten_by(&self, load: f32, weight: f32) -> bool {
        load * self.weight < self.load * weight
    }

    #[allow(clippy::float_cmp, reason = "as good as is nearly as good, see above")]
    fn equals(&self, load: f32, weight: f32) -> bool {
        load * self.weight == self.load * weight
    }
}

impl<'a> Search<'a> {
    /// Begin with one that may be chosen, with its load and weight, or with nobody: then anybody is
    /// better.
    pub(super) fn new(candidates: &'a Candidates<'a>, first: Option<(usize, (f32, f32))>) -> Self {
        let (load, weight) = first.map_or((1.0, 0.0), |(_, numbers)| numbers);
        Self { candidates, best: Best { load, weight }, index: first.map(|(index, _)| index), equals: 0 }
    }

    /// A chunk in which someone would be better: only these are asked whether they can serve.
    #[cold]
    #[inline(never)]
    fn consider(&mut self, first: usize, loads: &Chunk, weights: &Chunk) {
        for ((load, weight), index) in loads.0.iter().zip(&weights.0).zip(first..) {
            if self.best.is_beaten_by(*load, *weight) {
                self.consider_one(index, *load);
            } else {
                self.equals += u64::from(self.best.equals(*load, *weight));
            }
        }
    }

    fn consider_one(&mut self, index: usize, load: f32) {
        let Some(peer) = self.candidates.peers.get(index) else { return };
        let weight = weight(peer, self.candidates.ask.now);
        let is_better = self.best.is_beaten_by(load, weight);
        if is_better && self.candidates.may(index) && self.candidates.takes_turn(index) {
            (self.best, self.index, self.equals) = (Best { load, weight }, Some(index), 0);
        }
    }

    /// The best; none where nobody may be chosen.
    pub(super) fn end(self) -> Option<Found> {
        self.index.map(|index| Found { index, equals: self.equals, best: self.best })
    }
}

impl Visitor for Search<'_> {
    #[inline]
    fn meet(&mut self, first: usize, loads: &Chunk, weights: &Chunk) {
        // Without branches, so that several are compared by one instruction.
        let (mut better, mut equals) = (0_u32, 0_u32);
        for (load, weight) in loads.0.iter().zip(&weights.0) {
            better |= u32::from(self.best.is_beaten_by(*load, *weight));
            equals += u32::from(self.best.equals(*load, *weight));
        }
        if better != 0 {
            self.consider(first, loads, weights);
        } else {
            self.equals += u64::from(equals);
        }
    }
}

impl Found {
    /// Whether a peer is as good as the best.
    pub(super) fn is_equal(&self, load: f32, weight: f32) -> bool {
        self.best.equals(load, weight)
    }
}

impl Visitor for Lot<'_> {
    fn meet(&mut self, first: usize, loads: &Chunk, weights: &Chunk) {
        if self.chosen.is_some() {
            return;
        }
        let each = loads.0.iter().zip(&weights.0).zip(first..);
        for ((load, weight), index) in each {
            if self.found.is_equal(*load, *weight) {
                match self.skip.checked_sub(1) {
                    Some(fewer) => self.skip = fewer,
                    None => {
                        self.chosen = Some(index);
                        return;
                    }
                }
            }
        }
    }
}

/// The weight of a peer by the share that it has now: one that begins slowly is full with less, so
/// that it gets no more than its share while it has nothing to do yet.
fn weight(peer: &Peer, now: Tick) -> f32 {
    let (share, weight) = (peer.share(now), peer.weight as f32);
    if share >= WHOLE { weight } else { weight * share as f32 / WHOLE as f32 }
}
