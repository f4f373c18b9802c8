//! An upstream's peers as hook `balancer` sees them, and the peer that it names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::board::Board;
use super::policy::{Ask, Candidates};
use super::set::Set;
use super::{Lease, Peer, Shared};
use crate::hook::{Choice, PeerFacts, Peers};

/// What stays of an upstream while its peers change.
#[derive(Debug)]
pub(super) struct Group {
    number: u32,
    name: Arc<str>,
    /// Where what all its peers serve is counted.
    board: Arc<Board>,
}

impl Group {
    /// Number an upstream.
    pub(super) fn new(name: &Arc<str>, shared: &Shared) -> Self {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        Self { number, name: Arc::clone(name), board: shared.known.board(name) }
    }
}

/// The peers of an upstream at one time. Their ids are their places among them.
#[derive(Debug)]
pub struct Members {
    group: Arc<Group>,
    set: Arc<Set>,
}

impl Members {
    pub(super) fn new(group: &Arc<Group>, set: &Arc<Set>) -> Self {
        Self { group: Arc::clone(group), set: Arc::clone(set) }
    }

    /// Whether they are those of this set.
    pub(super) fn is_of(&self, set: &Arc<Set>) -> bool {
        Arc::ptr_eq(&self.set, set)
    }

    /// A choice among them, for a request that was tried with these.
    pub fn choice(self: &Arc<Self>, tried: &[Arc<Peer>]) -> Choice {
        let tried = tried.iter().filter_map(|tried| self.id_of(tried)).collect();
        Choice { peers: Arc::<Self>::clone(self), tried }
    }

    /// The peer of this id, busy from now on; none where it cannot be picked any more.
    pub fn lease(&self, id: u32, ask: &Ask<'_>) -> Option<Lease> {
        self.set.lease(usize::try_from(id).ok()?, ask)
    }

    fn peer(&self, id: u32) -> Option<&Arc<Peer>> {
        self.set.peers.get(usize::try_from(id).ok()?)
    }

    fn may(&self, id: u32, ask: &Ask<'_>) -> Option<&Arc<Peer>> {
        let candidates = Candidates { peers: &self.set.peers, ask };
        candidates.may(usize::try_from(id).ok()?).then(|| self.peer(id))?
    }

    /// Looks at all of them, but only for a request that was tried already.
    fn id_of(&self, tried: &Peer) -> Option<u32> {
        let same = |peer: &Arc<Peer>| Arc::ptr_eq(&peer.vitals, &tried.vitals);
        self.set.peers.iter().position(same).and_then(|index| u32::try_from(index).ok())
    }
}

impl Peers for Members {
    fn group(&self) -> u32 {
        self.group.number
    }

    fn name(&self) -> &str {
        &self.group.name
    }

    fn generation(&self) -> u64 {
        self.set.generation
    }

    fn facts(&self) -> Vec<PeerFacts> {
        let facts = |(id, peer): (u32, &Arc<Peer>)| PeerFacts {
            id,
            name: Arc::clone(&peer.name),
            address: peer.address.to_string(),
            weight: if peer.down { 0 } else { peer.weight },
            backup: peer.backup,
            tags: peer.tags.clone(),
        };
        (0..).zip(&self.set.peers).map(facts).collect()
    }

    fn has(&self, id: u32) -> bool {
        self.peer(id).is_some()
    }

    fn active(&self, id: u32) -> Option<u32> {
        self.may(id, &Ask::default()).map(|peer| peer.vitals.active())
    }

    fn total(&self) -> u32 {
        self.group.board.total()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Upstream;
    use super::super::tests::peer;
    use super::*;
    use crate::config::{self, Policy};

    fn upstream(count: usize, shared: &Shared, change: impl Fn(usize, &mut config::Peer)) -> Upstream {
        let peers = (0..count).map(|number| {
            let mut made = peer(number);
            change(number, &mut made);
            made
        });
        let config = config::Upstream {
            protocol: config::Protocol::H1,
            ping: Duration::ZERO,
            admission: None,
            name: "u".into(),
            policy: Policy::RoundRobin,
            sticky: None,
            keepalive: 0,
            keepalive_timeout: Duration::ZERO,
            keepalive_requests: 0,
            keepalive_time: Duration::ZERO,
            balancer: None,
            peers: peers.collect(),
        };
        Upstream::new(&config, shared)
    }

    #[test]
    fn peers_are_told_of_with_all_that_is_configured() {
        let upstream = upstream(3, &Shared::default(), |number, peer| {
            peer.weight = 7;
            peer.down = number == 1;
            peer.backup = number == 2;
            peer.tags = vec![("zone".into(), format!("z{number}"))];
        });
        let members = upstream.members();
        assert_eq!(members.name(), "u");
        let facts = members.facts();
        let told: Vec<_> = facts.iter().map(|f| (f.id, &*f.name, &*f.address, f.weight, f.backup)).collect();
        assert_eq!(
            told,
            [
                (0, "10.0.0.1:1", "10.0.0.1:1", 7, false),
                (1, "10.0.0.1:2", "10.0.0.1:2", 0, false),
                (2, "10.0.0.1:3", "10.0.0.1:3", 7, true)
            ]
        );
        assert_eq!(facts[1].tags, [("zone".to_owned(), "z1".to_owned())]);
    }

    #[test]
    fn what_cannot_be_picked_has_no_load_and_no_lease() {
        let upstream = upstream(5, &Shared::default(), |number, peer| match number {
            1 => peer.down = true,
            2 => peer.drain = true,
            3 => peer.max_conns = 1,
            _ => {}
        });
        let members = upstream.members();
        let ask = Ask::default();
        let _full = members.lease(3, &ask).unwrap();
        let loads: Vec<_> = (0..6).map(|id| members.active(id)).collect();
        assert_eq!(loads, [Some(0), None, None, None, Some(0), None]);
        assert!((0..6).map(|id| members.lease(id, &ask).is_some()).eq([true, false, false, false, true, false]));
        // One that was tried is not picked again, and is told of by its id.
        let tried = [Arc::clone(members.peer(4).unwrap())];
        let ask = Ask { tried: &tried, ..Ask::default() };
        let choice = members.choice(&tried);
        assert_eq!((choice.tried.as_slice(), choice.active(4), choice.active(0)), (&[4][..], None, Some(0)));
        assert!(members.lease(4, &ask).is_none());
    }

    #[test]
    fn leases_count_for_their_peer_and_for_all_over_reloads() {
        let shared = Shared::default();
        let before = upstream(2, &shared, |_, _| {});
        let members = before.members();
        let held: Vec<_> = [0, 1, 1].iter().filter_map(|id| members.lease(*id, &Ask::default())).collect();
        let after = upstream(1, &shared, |_, _| {});
        drop(before);
        let now = after.members();
        assert_eq!((now.active(0), now.active(1), now.total()), (Some(1), None, 3));
        assert_ne!(now.group(), members.group());
        drop(held);
        assert_eq!((now.active(0), now.total()), (Some(0), 0));
    }

    #[test]
    fn another_set_is_another_generation_of_the_same_group() {
        let shared = Shared::default();
        let upstream = upstream(2, &shared, |_, _| {});
        let before = upstream.members();
        assert!(Arc::ptr_eq(&before, &upstream.members()), "made once");
        let mut peers = upstream.peers();
        peers.remove(0);
        upstream.replace(&peers);
        let after = upstream.members();
        assert_eq!(before.group(), after.group());
        assert_ne!(before.generation(), after.generation());
        assert_eq!((after.facts()[0].name.clone(), after.facts().len()), ("10.0.0.1:2".into(), 1));
        // Tried by its old id, it has another one now.
        assert_eq!(after.choice(&[Arc::clone(&before.set.peers[1])]).tried, [0]);
    }
}
