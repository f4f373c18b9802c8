//! Round robin by weight, smooth, in nginx's order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Ask, Policy};
use crate::upstream::Peer;

/// The peers' order for one whole turn, worked out beforehand: a pick is one atomic add.
///
/// The order is that of nginx's `ngx_http_upstream_get_peer`: at each step every peer gains
/// its weight, the one with the most is taken and gives back the sum.
#[derive(Debug)]
pub(super) struct RoundRobin {
    turn: Box<[u32]>,
    position: AtomicUsize,
}

impl RoundRobin {
    /// `weights[i]` is peer i's; 0 leaves it out.
    pub(super) fn new(weights: &[u32]) -> Self {
        let common = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
        let weights: Vec<i64> = weights.iter().map(|w| i64::from(w / common)).collect();
        let sum: i64 = weights.iter().sum();
        let mut current = vec![0_i64; weights.len()];
        let mut turn = Vec::new();
        for _ in 0..sum {
            for (now, weight) in current.iter_mut().zip(&weights) {
                *now += weight;
            }
            let best = heaviest(&current, &weights);
            if let Some((now, index)) = best.and_then(|b| Some((current.get_mut(b)?, u32::try_from(b).ok()?))) {
                *now -= sum;
                turn.push(index);
            }
        }
        Self { turn: turn.into(), position: AtomicUsize::new(0) }
    }

    /// The index of the next peer; none where no peer is live.
    fn next(&self) -> Option<usize> {
        let position = self.position.fetch_add(1, Ordering::Relaxed);
        let index = position.checked_rem(self.turn.len())?;
        self.turn.get(index).map(|i| *i as usize)
    }
}

impl Policy for RoundRobin {
    fn pick(&self, peers: &[Arc<Peer>], ask: &Ask<'_>) -> Option<usize> {
        // A whole turn meets every live peer, so a turn without a find is the end.
        (0..self.turn.len()).find_map(|_| {
            let index = self.next()?;
            peers.get(index).is_some_and(|peer| ask.may(peer)).then_some(index)
        })
    }
}

/// The first live peer with the most.
fn heaviest(current: &[i64], weights: &[i64]) -> Option<usize> {
    let live = current.iter().zip(weights).enumerate().filter(|(_, (_, weight))| **weight > 0);
    live.fold(None, |best: Option<(usize, i64)>, (i, (now, _))| match best {
        Some((_, most)) if most >= *now => best,
        _ => Some((i, *now)),
    })
    .map(|(i, _)| i)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u32], n: usize) -> Vec<usize> {
        let policy = RoundRobin::new(weights);
        (0..n).filter_map(|_| policy.next()).collect()
    }

    #[test]
    fn nginx_order_for_5_1_1() {
        assert_eq!(picks(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(picks(&[7, 7, 7], 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_peer_that_is_down_is_left_out() {
        assert_eq!(picks(&[1, 0, 1], 4), [0, 2, 0, 2]);
        assert_eq!(picks(&[0, 0], 3), [] as [usize; 0]);
    }
}
