//! One member of an upstream, and what is known of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::way::Ways;
use super::{Shared, Way};
use crate::config::{self, Address};
use crate::observe::{Subject, Tally};

/// One member of an upstream.
#[derive(Debug)]
pub struct Peer {
    /// As the configuration writes it.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// Where it is and how it is connected to.
    pub(super) way: Arc<Way>,
    /// Its share; 0 where it is down.
    pub weight: u32,
    /// Its numbers.
    pub tally: Arc<Tally>,
    /// What is known of it.
    pub vitals: Arc<Vitals>,
}

/// What is known of a peer: shared by all that speak with it, and kept over reloads and changes
/// of the upstream's set for as long as anyone holds it.
#[derive(Debug, Default)]
pub struct Vitals {
    active: AtomicU32,
}

impl Vitals {
    /// Exchanges and tunnels that it serves now.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// One more.
    pub(super) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Peer {
    /// Make a peer ready; what is known of the one at this address in this upstream goes on.
    pub fn new(config: &config::Peer, upstream: &Arc<str>, shared: &Shared) -> Self {
        let subject = Subject::Peer(Arc::clone(upstream), Arc::clone(&config.name));
        Self {
            name: Arc::clone(&config.name),
            address: config.address.clone(),
            way: shared.known.ways.of(&config.address, &config.dial),
            weight: if config.down { 0 } else { config.weight },
            tally: shared.tallies.of(subject),
            vitals: shared.known.of(upstream, &config.address),
        }
    }
}

/// The vitals of every peer that is in use, by upstream and address, and the ways to them.
#[derive(Debug, Default)]
pub struct Known {
    vitals: Mutex<HashMap<(Arc<str>, Address), Weak<Vitals>>>,
    ways: Ways,
}

impl Known {
    /// Those of one peer, as they are if anyone holds them, or new ones.
    fn of(&self, upstream: &Arc<str>, address: &Address) -> Arc<Vitals> {
        let mut all = self.vitals.lock();
        all.retain(|_, vitals| vitals.strong_count() > 0);
        let kept = all.entry((Arc::clone(upstream), address.clone())).or_default();
        kept.upgrade().unwrap_or_else(|| {
            let vitals = Arc::default();
            *kept = Arc::downgrade(&vitals);
            vitals
        })
    }
}
