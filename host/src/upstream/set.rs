//! The peers of an upstream at one time: never changed, replaced as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::policy::{self, Ask, Candidates, Policy};
use super::sticky::Sticky;
use super::{Lease, Peer, Tick};
use crate::config;

/// How often a choice is made anew because others took the last room of the chosen peer,
/// or the one request that may try it.
const RACES: usize = 16;

/// One generation of an upstream's peers.
#[derive(Debug)]
pub(super) struct Set {
    /// Grows with each change.
    pub(super) generation: u64,
    /// All of them, with those that are down.
    pub(super) peers: Vec<Arc<Peer>>,
    /// How many of them are not down. nginx: `tries`.
    pub(super) usable: usize,
    primary: Tier,
    backup: Option<Tier>,
    /// The peers that each token or route stands for; empty where nothing sticks.
    tokens: HashMap<Arc<str>, Vec<Arc<Peer>>>,
}

/// Peers that are chosen among, with the policy made for them.
#[derive(Debug)]
struct Tier {
    peers: Vec<Arc<Peer>>,
    policy: Box<dyn Policy>,
    /// Whether it matters how long they take.
    measures: bool,
}

impl Set {
    /// Make a generation ready.
    pub(super) fn new(
        generation: u64,
        peers: Vec<Arc<Peer>>,
        policy: &config::Policy,
        sticky: Option<&Sticky>,
    ) -> Self {
        peers.iter().for_each(|peer| peer.set_alone(peers.len() == 1));
        let (backup, primary): (Vec<_>, Vec<_>) = peers.iter().cloned().partition(|peer| peer.backup);
        let tier = |peers: Vec<Arc<Peer>>| {
            let policy = policy::new(policy, &peers);
            Tier { measures: policy.measures(), policy, peers }
        };
        let (primary, backup) = (tier(primary), (!backup.is_empty()).then(|| tier(backup)));
        let mut tokens: HashMap<_, Vec<_>> = HashMap::new();
        for peer in &peers {
            if let Some(token) = sticky.and_then(|sticky| sticky.token(peer)) {
                tokens.entry(token).or_default().push(Arc::clone(peer));
            }
        }
        let usable = peers.iter().filter(|peer| !peer.down).count();
        Self { generation, peers, usable, primary, backup, tokens }
    }

    /// Peers that no set had before begin slowly, where there are others that serve already.
    pub(super) fn welcome(peers: &[Arc<Peer>], now: Tick) {
        let others = peers.iter().any(|peer| !peer.vitals.is_fresh());
        for peer in peers {
            if peer.vitals.join() && others {
                peer.vitals.returns(now);
            }
        }
    }

    /// A peer that this token or route stands for and that can serve.
    pub(super) fn pick_stuck(&self, token: &str, ask: &Ask<'_>) -> Option<Lease> {
        let candidates = Candidates { peers: &self.peers, ask };
        let can = self.tokens.get(token)?.iter().filter(|peer| candidates.can(peer));
        can.filter_map(|peer| Lease::new(peer, self.primary.measures))
            .find_map(|mut lease| lease.begin(ask.now).then_some(lease))
    }

    /// The peer at this place, where it may be chosen.
    pub(super) fn lease(&self, index: usize, ask: &Ask<'_>) -> Option<Lease> {
        let candidates = Candidates { peers: &self.peers, ask };
        let peer = self.peers.get(index).filter(|_| candidates.may(index))?;
        let mut lease = Lease::new(peer, self.primary.measures)?;
        lease.begin(ask.now).then_some(lease)
    }

    /// The next peer by the policy: one of the backups where no other may be chosen.
    pub(super) fn pick(&self, ask: &Ask<'_>) -> Option<Lease> {
        self.primary.pick(ask).or_else(|| self.backup.as_ref()?.pick(ask))
    }
}

impl Tier {
    fn pick(&self, ask: &Ask<'_>) -> Option<Lease> {
        let candidates = Candidates { peers: &self.peers, ask };
        (0..RACES).find_map(|_| {
            // None at all ends it; a peer whose room is gone is not chosen again.
            let Some(index) = self.policy.pick(&candidates) else { return Some(None) };
            let mut lease = self.peers.get(index).and_then(|peer| Lease::new(peer, self.measures))?;
            lease.begin(ask.now).then_some(Some(lease))
        })?
    }
}
