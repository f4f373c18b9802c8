//! Round robin by weight, smooth, in nginx's order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Candidates, Policy};
use crate::upstream::Peer;

/// Steps of nginx's algorithm that an order may cost: beyond that it is spread more simply.
const MOST_STEPS: u64 = 1 << 20;
/// The longest turn; larger weights are made smaller in proportion.
const LONGEST_TURN: u64 = 1 << 16;

/// The peers' order for one whole turn, worked out beforehand: a pick is one atomic add.
///
/// The order is that of nginx's `ngx_http_upstream_get_peer`: at each step every peer gains
/// its weight, the one with the most is taken and gives back the sum. Peers that cannot serve
/// are passed over, so that the turns of the others stay as they are.
#[derive(Debug)]
pub(super) struct RoundRobin {
    turn: Box<[u32]>,
    position: AtomicUsize,
    /// The same for those who serve in the place of another.
    spare: AtomicUsize,
    /// Turns to look at before all peers are.
    tries: usize,
}

impl RoundRobin {
    pub(super) fn new(peers: &[Arc<Peer>]) -> Self {
        let weights: Vec<u32> = peers.iter().map(|p| if p.down || p.drain { 0 } else { p.weight }).collect();
        let turn = turn(&weights);
        Self { tries: turn.len().min(peers.len() * 4), turn, position: AtomicUsize::new(0), spare: AtomicUsize::new(0) }
    }

    /// The index of the next peer; none where no peer is in use.
    pub(super) fn next(&self) -> Option<usize> {
        self.at(self.position.fetch_add(1, Ordering::Relaxed))
    }

    /// Who serves in the place of one that failed. As in nginx nobody's turn is taken by that, or
    /// of two peers the one that fails would be the first to be asked each time; who serves so
    /// goes round among the others by itself.
    fn instead(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let first = self.spare.load(Ordering::Relaxed);
        let positions = (0..self.tries).map(|n| first.wrapping_add(n));
        let mut turns = positions.filter_map(|position| Some((position, self.at(position)?)));
        let (position, index) = turns.find(|(_, index)| candidates.may(*index))?;
        self.spare.store(position.wrapping_add(1), Ordering::Relaxed);
        Some(index)
    }

    /// Whose turn is at a position.
    fn at(&self, position: usize) -> Option<usize> {
        let index = position.checked_rem(self.turn.len())?;
        self.turn.get(index).map(|i| *i as usize)
    }
}

impl Policy for RoundRobin {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        if !candidates.ask.tried.is_empty() {
            return self.instead(candidates).or_else(|| candidates.by_lot());
        }
        for _ in 0..self.tries {
            let index = self.next()?;
            if candidates.may(index) && candidates.takes_turn(index) {
                return Some(index);
            }
        }
        candidates.by_lot()
    }
}

/// Indexes in the order of one turn; those of weight 0 are left out.
fn turn(weights: &[u32]) -> Box<[u32]> {
    let common = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
    let mut weights: Vec<u64> = weights.iter().map(|w| u64::from(w / common)).collect();
    let sum: u64 = weights.iter().sum();
    if weights.iter().all(|weight| *weight <= 1) {
        let used = (0_u32..).zip(&weights).filter(|(_, weight)| **weight > 0);
        return used.map(|(index, _)| index).collect();
    }
    if sum.saturating_mul(weights.len() as u64) <= MOST_STEPS {
        return smooth(&weights, sum);
    }
    let divisor = sum.div_ceil(LONGEST_TURN);
    for weight in weights.iter_mut().filter(|weight| **weight > 0) {
        *weight = (*weight / divisor).max(1);
    }
    spread(&weights)
}

/// nginx's order.
fn smooth(weights: &[u64], sum: u64) -> Box<[u32]> {
    let sum_back = i64::try_from(sum).unwrap_or(i64::MAX);
    let mut peers: Vec<(i64, i64, u32)> =
        weights.iter().zip(0..).map(|(w, index)| (0, i64::try_from(*w).unwrap_or(0), index)).collect();
    peers.retain(|(_, weight, _)| *weight > 0);
    let mut turn = Vec::with_capacity(usize::try_from(sum).unwrap_or(0));
    for _ in 0..sum {
        let mut best: Option<&mut (i64, i64, u32)> = None;
        for peer in &mut peers {
            peer.0 += peer.1;
            // The first of those with the most.
            if best.as_ref().is_none_or(|best| peer.0 > best.0) {
                best = Some(peer);
            }
        }
        if let Some((now, _, index)) = best {
            *now -= sum_back;
            turn.push(*index);
        }
    }
    turn.into()
}

/// Each peer's turns at equal distances: the same shares, nearly as smooth, at less cost.
fn spread(weights: &[u64]) -> Box<[u32]> {
    let mut turns: Vec<(u64, u32)> = Vec::new();
    for (weight, index) in weights.iter().zip(0_u32..) {
        turns.extend((0..*weight).map(|turn| (((2 * turn + 1) << 32) / weight, index)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, index)| index).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[u32]) -> Vec<u32> {
        turn(weights).into()
    }

    #[test]
    fn nginx_order_for_5_1_1() {
        assert_eq!(turns(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(turns(&[7, 7, 7]), [0, 1, 2]);
    }

    #[test]
    fn a_peer_without_weight_is_left_out() {
        assert_eq!(turns(&[1, 0, 1]), [0, 2]);
        assert_eq!(turns(&[2, 0, 1]), [0, 2, 0]);
        assert_eq!(turns(&[0, 0]), [] as [u32; 0]);
    }

    #[test]
    fn large_weights_keep_their_shares_in_a_turn_of_bounded_length() {
        let weights: Vec<u32> = (0..1000).map(|i| 1 + 65 * i).collect();
        let turn = turns(&weights);
        assert!(turn.len() as u64 <= LONGEST_TURN + 1000, "{}", turn.len());
        let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        for (index, weight) in weights.iter().enumerate().skip(100) {
            let got = turn.iter().filter(|i| **i as usize == index).count() as f64 / turn.len() as f64;
            let wanted = f64::from(*weight) / sum as f64;
            assert!((got / wanted - 1.0).abs() < 0.2, "{index}: {got} for {wanted}");
        }
        // Not one peer's turns after another's: half of the turn has half of each.
        let last = turn.iter().filter(|i| **i == 999).count();
        let in_half = turn[..turn.len() / 2].iter().filter(|i| **i == 999).count();
        assert!(in_half.abs_diff(last / 2) <= 1, "{in_half} of {last}");
    }
}
