//! Peers for hook `balancer`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::hook::{Choice, PeerFacts, Peers};

/// A peer of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// As the configuration writes it: `10.0.0.1:9000`.
    name: String,
    /// Where it is; as its name where there is none.
    address: Option<String>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    backup: bool,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// What it serves; `false` where it cannot be picked.
    #[serde(default)]
    active: Active,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Active {
    Serves(u32),
    Can(bool),
}

impl Default for Active {
    fn default() -> Self {
        Self::Serves(0)
    }
}

fn one() -> u32 {
    1
}

impl Active {
    fn number(&self) -> Option<u32> {
        match self {
            Self::Serves(number) => Some(*number),
            Self::Can(can) => can.then_some(0),
        }
    }
}

/// The peers of a step: a group that nobody else has.
#[derive(Debug)]
struct Group {
    peers: Vec<Peer>,
    generation: u64,
}

/// The choice that a step is about.
///
/// # Errors
/// A peer that was tried and is none.
pub(super) fn choice(peers: &[Peer], tried: &[String]) -> Result<Choice, String> {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    let id = |name: &String| {
        let at = peers.iter().position(|peer| peer.name == *name);
        at.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| format!("`tried` names `{name}`, which is no peer"))
    };
    let tried = tried.iter().map(id).collect::<Result<_, _>>()?;
    let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
    Ok(Choice { peers: Arc::new(Group { peers: peers.to_vec(), generation }), tried })
}

/// A peer's name by its number.
pub(super) fn name(peers: &[Peer], id: u32) -> Option<&str> {
    peers.get(usize::try_from(id).ok()?).map(|peer| peer.name.as_str())
}

impl Group {
    fn peer(&self, id: u32) -> Option<&Peer> {
        self.peers.get(usize::try_from(id).ok()?)
    }
}

impl Peers for Group {
    fn group(&self) -> u32 {
        0
    }

    fn name(&self) -> &'static str {
        "group"
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn facts(&self) -> Vec<PeerFacts> {
        let facts = |(id, peer): (u32, &Peer)| PeerFacts {
            id,
            name: peer.name.as_str().into(),
            address: peer.address.clone().unwrap_or_else(|| peer.name.clone()),
            weight: peer.weight,
            backup: peer.backup,
            tags: peer.tags.clone().into_iter().collect(),
        };
        (0..).zip(&self.peers).map(facts).collect()
    }

    fn has(&self, id: u32) -> bool {
        self.peer(id).is_some()
    }

    fn active(&self, id: u32) -> Option<u32> {
        self.peer(id)?.active.number()
    }

    fn total(&self) -> u32 {
        self.peers.iter().filter_map(|peer| peer.active.number()).sum()
    }
}
