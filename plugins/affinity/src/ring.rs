//! The ring of consistent hashing, as nginx makes it.

use std::collections::HashMap;

use tidegate_plugin::Peer;

/// Points for each unit of weight. nginx: `ngx_http_upstream_init_chash`.
const POINTS: u64 = 160;
/// Points of one ring at most: with more, each peer has fewer, in proportion. Building a ring of
/// so many takes some milliseconds, which a call's deadline must allow.
const MOST_POINTS: u64 = 40_000;

/// Peers on a ring of 32 bits: a key belongs to the first point at or behind its own hash.
#[derive(Debug)]
pub struct Ring {
    /// Hash and index of the peer, by hash.
    points: Vec<(u32, u32)>,
    peers: Vec<Place>,
    weight: u64,
}

/// One peer of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: u32,
    /// Its weight, 1 or more.
    pub weight: u32,
}

impl Ring {
    /// A ring of the peers that are in use and no backups.
    pub fn new(peers: &[Peer]) -> Self {
        let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.weight > 0 && !peer.backup).collect();
        let weight: u64 = peers.iter().map(|peer| u64::from(peer.weight)).sum();
        let mut names: HashMap<&str, u32> = HashMap::new();
        for peer in &peers {
            *names.entry(peer.name.as_str()).or_default() += 1;
        }
        let mut points = Vec::new();
        for (index, peer) in (0..).zip(&peers) {
            // Found under one name, each must have points of its own.
            let shared = names.get(peer.name.as_str()).is_some_and(|count| *count > 1);
            let name = if shared { &peer.address } else { &peer.name };
            let wanted = u64::from(peer.weight) * POINTS;
            let share = if weight * POINTS > MOST_POINTS { wanted * MOST_POINTS / (weight * POINTS) } else { wanted };
            points.extend(hashes(name).take(usize::try_from(share.max(1)).unwrap_or(usize::MAX)).map(|h| (h, index)));
        }
        points.sort_unstable();
        points.dedup_by_key(|(hash, _)| *hash);
        let place = |peer: &&Peer| Place { id: peer.id, weight: peer.weight };
        Self { points, peers: peers.iter().map(place).collect(), weight }
    }

    /// How many peers it has.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The weights of all its peers.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Once round the ring from the key's place: the peers of its points, again and again.
    pub fn from(&self, key: &[u8]) -> impl Iterator<Item = Place> {
        let hash = crc32fast::hash(key);
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let (before, behind) = self.points.split_at(start);
        behind.iter().chain(before).filter_map(|(_, peer)| self.peers.get(usize::try_from(*peer).ok()?).copied())
    }
}

/// The points of a peer, without end: CRC-32 of `HOST \0 PORT` and the point before.
fn hashes(name: &str) -> impl Iterator<Item = u32> {
    let mut base = crc32fast::Hasher::new();
    let (host, port) = match name.strip_prefix("unix:") {
        Some(path) => (path, ""),
        None => match name.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
            _ => (name, ""),
        },
    };
    base.update(host.as_bytes());
    base.update(b"\0");
    base.update(port.as_bytes());
    let mut before = 0_u32;
    std::iter::repeat_with(move || {
        let mut hash = base.clone();
        hash.update(&before.to_le_bytes());
        before = hash.finalize();
        before
    })
}
