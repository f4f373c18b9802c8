//! The tunnels that are open: counted, and told to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use dashmap::DashMap;

use super::labels::Labels;
use super::{End, Opening};
use crate::config::OnUnhealthy;
use crate::hook::Closing;
use crate::observe::seat;
use crate::upstream::Peer;

/// Every open tunnel of a server, by number. Sharded, so that workers do not meet.
#[derive(Debug, Default)]
pub struct Registry {
    open: DashMap<u64, Arc<Control>>,
    /// Those that may have to end with their peer, by the peer's number and the thread that
    /// opened them, so that workers do not meet here either.
    by_peer: DashMap<(u64, usize), HashMap<u64, Arc<Control>>>,
    /// Those that are bound to a subject or tags.
    pub(super) labels: Labels,
    next: AtomicU64,
}

/// Parts of a peer's tunnels.
pub(super) const PARTS: usize = 8;
/// What a [`Control`] is told.
const DRAIN: u8 = 1;
const PEER_UNHEALTHY: u8 = 2;
const REVOKED: u8 = 3;

/// How a tunnel is told something from outside.
#[derive(Debug, Default)]
pub struct Control {
    /// 0, or 1 and what [`End`] it is told of.
    end: AtomicU8,
    /// What it is to say where its grant was revoked.
    closing: OnceLock<Box<Closing>>,
    waker: AtomicWaker,
}

impl Control {
    /// Wakes the tunnel in this way when it is told something from now on.
    pub(super) fn wakes(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Why the tunnel is told to end; none where it is not. A look, without a lock.
    pub fn told_end(&self) -> Option<End> {
        match self.end.load(Ordering::Acquire) {
            0 => None,
            PEER_UNHEALTHY => Some(End::PeerUnhealthy),
            REVOKED => Some(End::Revoked),
            _ => Some(End::Drain),
        }
    }

    /// What it is to say, where its grant was revoked.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.get().map(|closing| &**closing)
    }

    /// Its grant was revoked; false where it was told something before.
    pub(super) fn revoke(&self, closing: &Closing) -> bool {
        // Before it can see that it is told.
        let _set_already = self.closing.set(Box::new(closing.clone()));
        self.tell(REVOKED)
    }

    /// Whether that is news.
    fn tell(&self, end: u8) -> bool {
        // What it was told first is why it ends.
        let is_first = self.end.compare_exchange(0, end, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.waker.wake();
        is_first
    }
}

/// A tunnel's entry in the registry; leaves it when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    id: u64,
    /// Where it is among those of its peer; none where it does not end with it. Boxed, since that is rare.
    of_peer: Option<Box<(u64, usize)>>,
    /// How the tunnel is told something.
    pub(super) control: Arc<Control>,
}

impl Registry {
    /// Enter a tunnel that opens.
    pub(super) fn enter(self: &Arc<Self>, opening: &Opening) -> Entry {
        let control = opening.access.as_ref().map(|access| Arc::clone(access.control()));
        self.enter_with(opening.lease.peer(), control.unwrap_or_default())
    }

    /// A number that nothing else here has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Enter a tunnel with this peer, which is told something in this way.
    fn enter_with(self: &Arc<Self>, peer: &Peer, control: Arc<Control>) -> Entry {
        let id = self.number();
        self.open.insert(id, Arc::clone(&control));
        let policy = peer.health.as_ref().map_or(OnUnhealthy::Keep, |health| health.on_unhealthy);
        let of_peer = (policy != OnUnhealthy::Keep).then(|| Box::new((peer.vitals.id(), seat() % PARTS)));
        if let Some(place) = of_peer.as_deref().copied() {
            self.by_peer.entry(place).or_default().insert(id, Arc::clone(&control));
            // It may have turned while the tunnel was opening.
            if policy == OnUnhealthy::Close && peer.is_unhealthy() {
                control.tell(PEER_UNHEALTHY);
            }
        }
        Entry { registry: Arc::clone(self), id, of_peer, control }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Tell every tunnel to end. Those that enter later are not told.
    pub fn end_all(&self) {
        for entry in &self.open {
            entry.tell(DRAIN);
        }
    }

    /// Tell every tunnel of a peer to end that was opened to end with it. What it costs is theirs
    /// alone. `peer` is the number of its vitals.
    pub fn end_of_peer(&self, peer: u64) {
        for part in 0..PARTS {
            let Some(tunnels) = self.by_peer.get(&(peer, part)) else { continue };
            tunnels.values().for_each(|control| _ = control.tell(PEER_UNHEALTHY));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.open.remove(&self.id);
        let Some(place) = self.of_peer.as_deref().copied() else { return };
        if let dashmap::Entry::Occupied(mut tunnels) = self.registry.by_peer.entry(place) {
            tunnels.get_mut().remove(&self.id);
            if tunnels.get().is_empty() {
                tunnels.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::config::{self, Address, Expect, Health, Probe, TcpProbe};
    use crate::upstream::Shared;

    fn peer(port: u16, on_unhealthy: OnUnhealthy) -> Peer {
        let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut config = config::Peer::new("p", address.clone());
        let expect = Expect { contains: None, matches: None, most: 1 };
        config.health = Some(Arc::new(Health {
            probe: Probe::Tcp(TcpProbe { send: String::new(), expect }),
            interval: Duration::from_secs(1),
            jitter: Duration::ZERO,
            timeout: Duration::from_secs(1),
            fails: 1,
            passes: 1,
            port: None,
            protocol: config::Protocol::H1,
            mandatory: false,
            on_unhealthy,
        }));
        Peer::new(&config, &address, &"u".into(), &Shared::default())
    }

    #[test]
    fn only_a_peers_own_tunnels_are_told_and_nothing_is_left_of_them() {
        let registry = Arc::new(Registry::default());
        let (close, other, keep) =
            (peer(1, OnUnhealthy::Close), peer(2, OnUnhealthy::Close), peer(3, OnUnhealthy::Keep));
        let open: Vec<Entry> =
            [&close, &close, &other, &keep].map(|peer| registry.enter_with(peer, Arc::default())).into();
        for peer in [&close, &keep] {
            registry.end_of_peer(peer.vitals.id());
        }
        let told = || open.iter().map(|entry| entry.control.told_end()).collect::<Vec<_>>();
        let ended = Some(End::PeerUnhealthy);
        assert_eq!(told(), [ended, ended, None, None]);
        registry.end_all();
        assert_eq!(told(), [ended, ended, Some(End::Drain), Some(End::Drain)], "the first reason stays");
        drop(open);
        assert!(registry.is_empty() && registry.by_peer.is_empty());
    }
}
