//! Hook `balancer`: what an instance knows of groups of peers, and what a call was told.

use super::abi::v0_1::bindings::exports::tidegate::plugin::balancer::Peer;
use super::abi::v0_1::convert;
use crate::hook::Choice;

/// Which generation of each group's peers an instance was told of.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<(u32, u64)>);

impl Known {
    /// Whether it knows the peers of this choice.
    pub(super) fn has(&self, choice: &Choice) -> bool {
        // A plugin balances one group, or a few.
        self.0.contains(&(choice.peers.group(), choice.peers.generation()))
    }

    /// It was told of them.
    pub(super) fn add(&mut self, choice: &Choice) {
        let (group, generation) = (choice.peers.group(), choice.peers.generation());
        match self.0.iter_mut().find(|(known, _)| *known == group) {
            Some((_, known)) => *known = generation,
            None => self.0.push((group, generation)),
        }
    }
}

/// The parameters of `balancer.update`.
pub(super) fn params(choice: &Choice) -> (u32, String, Vec<Peer>) {
    let peers = choice.peers.facts().into_iter().map(convert::peer).collect();
    (choice.peers.group(), choice.peers.name().to_owned(), peers)
}

/// The choice that a call is about.
#[derive(Debug)]
pub(super) struct Asked {
    choice: Choice,
    /// The peers that the guest was told it can pick.
    offered: Vec<u32>,
}

impl Asked {
    /// Nothing has been told yet. `room` is an earlier call's, to be used again.
    pub(super) fn new(choice: Choice, mut room: Vec<u32>) -> Self {
        room.clear();
        Self { choice, offered: room }
    }

    /// Room for the next call.
    pub(super) fn into_room(self) -> Vec<u32> {
        self.offered
    }

    /// The choice.
    pub(super) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// What a peer serves; none where it cannot be picked.
    pub(super) fn active(&mut self, id: u32) -> Option<u32> {
        let active = self.choice.active(id)?;
        self.offered.push(id);
        Some(active)
    }

    /// Judge the guest's answer. None where another request took the last place at a peer
    /// between the guest's look and now, which is nobody's fault.
    ///
    /// # Errors
    /// Why the peer cannot be picked.
    pub(super) fn judge(&self, id: u32) -> Result<Option<u32>, String> {
        let why = match self.choice.active(id) {
            Some(_) => return Ok(Some(id)),
            None if self.offered.contains(&id) => return Ok(None),
            None if self.choice.tried.contains(&id) => "was tried for this request already",
            None if self.choice.peers.has(id) => "cannot be picked now",
            None => "is not there",
        };
        Err(format!("peer {id} of `{}` {why}", self.choice.peers.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::hook::{PeerFacts, Peers};

    /// Three peers: the last is never available, the first while the flag is set.
    #[derive(Debug, Default)]
    struct Three {
        generation: u64,
        full: AtomicBool,
    }

    impl Peers for Three {
        fn group(&self) -> u32 {
            7
        }
        fn name(&self) -> &'static str {
            "three"
        }
        fn generation(&self) -> u64 {
            self.generation
        }
        fn facts(&self) -> Vec<PeerFacts> {
            Vec::new()
        }
        fn has(&self, id: u32) -> bool {
            id < 3
        }
        fn active(&self, id: u32) -> Option<u32> {
            match id {
                0 if self.full.load(Ordering::Relaxed) => None,
                0 | 1 => Some(id),
                _ => None,
            }
        }
        fn total(&self) -> u32 {
            1
        }
    }

    fn asked(peers: &Arc<Three>, tried: &[u32]) -> Asked {
        Asked::new(Choice { peers: Arc::<Three>::clone(peers), tried: tried.to_vec() }, Vec::new())
    }

    #[test]
    fn answers_that_cannot_be_are_named() {
        let peers = Arc::default();
        let why = |id: u32| asked(&peers, &[1]).judge(id).unwrap_err();
        assert_eq!(why(1), "peer 1 of `three` was tried for this request already");
        assert_eq!(why(2), "peer 2 of `three` cannot be picked now");
        assert_eq!(why(3), "peer 3 of `three` is not there");
        assert_eq!(asked(&peers, &[1]).judge(0), Ok(Some(0)));
        assert_eq!(asked(&peers, &[1]).active(1), None, "tried already");
    }

    #[test]
    fn a_place_that_was_lost_meanwhile_is_no_fault() {
        let peers: Arc<Three> = Arc::default();
        let mut looked = asked(&peers, &[]);
        let unasked = asked(&peers, &[]);
        assert_eq!(looked.active(0), Some(0));
        peers.full.store(true, Ordering::Relaxed);
        assert_eq!(looked.judge(0), Ok(None));
        unasked.judge(0).unwrap_err();
    }

    #[test]
    fn an_instance_knows_one_generation_of_a_group() {
        let choice =
            |generation| Choice { peers: Arc::new(Three { generation, ..Three::default() }), tried: Vec::new() };
        let mut known = Known::default();
        assert!(!known.has(&choice(0)));
        known.add(&choice(0));
        assert!(known.has(&choice(0)) && !known.has(&choice(1)));
        known.add(&choice(1));
        assert!(known.has(&choice(1)) && !known.has(&choice(0)));
    }
}
