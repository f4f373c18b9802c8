//! The same peer for the same key, with few keys that move when peers come and go: a ketama ring.
//! nginx: `hash KEY consistent`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::round_robin::RoundRobin;
use super::{Candidates, Policy, TRIES, with_key};
use crate::hook::Template;
use crate::upstream::Peer;

/// Points for each unit of weight: nginx's.
const POINTS: u64 = 160;
/// The most points of a ring; larger weights are made smaller in proportion, and then the ring is
/// no longer nginx's.
const MOST_POINTS: u64 = 1 << 23;

/// From here on an owner is a name's number.
const SEVERAL: u32 = 1 << 31;

/// A ring of hashes, each of which belongs to a name; a key belongs to the next hash.
#[derive(Debug)]
pub(super) struct Ring {
    key: Template,
    /// In ascending order, each once.
    pub(super) hashes: Box<[u32]>,
    /// Whose they are: a peer's index, or [`SEVERAL`] and more where a name has several peers.
    owners: Box<[u32]>,
    /// Where the hashes begin that have these upper bits: hashes are spread evenly, so the one
    /// that is looked for is near.
    starts: Box<[u32]>,
    /// By how much a hash is shifted to its upper bits.
    shift: u32,
    /// The peers of each name that has several addresses; of others nothing is asked for here.
    names: Box<[Box<[u32]>]>,
    /// Whose turn it is among the peers of one name.
    turn: AtomicUsize,
    otherwise: RoundRobin,
}

impl Ring {
    pub(super) fn new(key: &Template, peers: &[Arc<Peer>]) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut names: Vec<Vec<u32>> = Vec::new();
        let mut points: Vec<(u32, u32)> = Vec::new();
        let sum: u64 = peers.iter().map(|peer| u64::from(peer.weight) * POINTS).sum();
        let divisor = sum.div_ceil(MOST_POINTS).max(1);
        for (peer, index) in peers.iter().zip(0_u32..) {
            let number = *numbers.entry(&peer.name).or_insert(names.len());
            if number == names.len() {
                names.push(Vec::new());
            }
            if let Some(name) = names.get_mut(number) {
                name.push(index);
            }
            let count = (u64::from(peer.weight) * POINTS / divisor).max(1);
            add_points(&mut points, &peer.name, count, u32::try_from(number).unwrap_or(u32::MAX));
        }
        // Stable, so that of two equal hashes the first peer's stays.
        points.sort_by_key(|(hash, _)| *hash);
        points.dedup_by_key(|(hash, _)| *hash);
        let bits = points.len().next_power_of_two().trailing_zeros().clamp(1, 24);
        let shift = u32::BITS - bits;
        let start = |upper: u64| points.partition_point(|(hash, _)| u64::from(*hash) < upper << shift);
        Self {
            key: key.clone(),
            starts: (0..1_u64 << bits).map(|upper| u32::try_from(start(upper)).unwrap_or(u32::MAX)).collect(),
            shift,
            hashes: points.iter().map(|(hash, _)| *hash).collect(),
            owners: points.iter().map(|(_, number)| owner(&names, *number)).collect(),
            names: names.into_iter().map(Vec::into_boxed_slice).collect(),
            turn: AtomicUsize::new(0),
            otherwise: RoundRobin::new(peers),
        }
    }

    /// The first point that is not before this hash.
    pub(super) fn point(&self, hash: u32) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize).map_or(0, |start| *start as usize);
        let rest = self.hashes.get(start..).unwrap_or_default();
        start + rest.iter().position(|point| *point >= hash).unwrap_or(rest.len())
    }

    fn by_key(&self, key: &[u8], candidates: &Candidates<'_>) -> Option<usize> {
        let first = self.point(crc32fast::hash(key));
        // nginx: point after point, even where several in a row are one peer's.
        (first..first + TRIES).find_map(|point| {
            // By comparison: a division would cost as much as all the rest of this line.
            let len = self.owners.len();
            let owner = self.owners.get(if point < len { point } else { point.checked_rem(len)? })?;
            match owner.checked_sub(SEVERAL) {
                None => Some(*owner as usize).filter(|index| candidates.may(*index)),
                Some(name) => self.of_name(self.names.get(name as usize)?, candidates),
            }
        })
    }

    fn of_name(&self, members: &[u32], candidates: &Candidates<'_>) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let start = turn.checked_rem(members.len())?;
        let in_turn = members.iter().skip(start).chain(members.iter().take(start));
        in_turn.map(|index| *index as usize).find(|index| candidates.may(*index))
    }
}

impl Policy for Ring {
    fn pick(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let found = with_key(&self.key, candidates, |key| self.by_key(key, candidates));
        found.flatten().or_else(|| self.otherwise.pick(candidates))
    }
}

/// What stands for the name of this number.
fn owner(names: &[Vec<u32>], number: u32) -> u32 {
    match names.get(number as usize).map(Vec::as_slice) {
        Some([only]) => *only,
        _ => SEVERAL | number,
    }
}

/// The points of a peer, as nginx and Cache::Memcached::Fast make them: the CRC of host, zero,
/// port and the point before.
fn add_points(points: &mut Vec<(u32, u32)>, name: &str, count: u64, owner: u32) {
    let (host, port) = match name.get(..5) {
        Some(unix) if unix.eq_ignore_ascii_case("unix:") => (name.get(5..).unwrap_or_default(), ""),
        _ => match name.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
            _ => (name, ""),
        },
    };
    let mut base = crc32fast::Hasher::new();
    for part in [host.as_bytes(), b"\0", port.as_bytes()] {
        base.update(part);
    }
    let mut before: u32 = 0;
    for _ in 0..count {
        let mut crc = base.clone();
        crc.update(&before.to_le_bytes());
        before = crc.finalize();
        points.push((before, owner));
    }
}
