//! What sets and policies have in common, by count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::policy::{Ask, seed};
use super::set::Set;
use super::sticky::Sticky;
use super::{Lease, Peer, Shared, State, Tick, WHOLE};
use crate::config::{self, Address, Policy};
use crate::error::{Error, Kind};

/// A peer of a configuration: port `1 + number`.
pub(super) fn peer(number: usize) -> config::Peer {
    config::Peer::new(&address(number).to_string(), address(number))
}

fn address(number: usize) -> Address {
    Address::Tcp(SocketAddr::from(([10, 0, 0, 1], u16::try_from(number + 1).unwrap())))
}

/// So many peers, each changed by `change`, which is told its number.
pub(super) fn peers(count: usize, change: impl Fn(usize, &mut config::Peer)) -> Vec<Arc<Peer>> {
    let shared = Shared::default();
    let made = (0..count).map(|number| {
        let mut config = peer(number);
        change(number, &mut config);
        Arc::new(Peer::new(&config, &address(number), &"u".into(), &shared))
    });
    made.collect()
}

pub(super) fn set(peers: &[Arc<Peer>], policy: &Policy) -> Set {
    set_with(peers, policy, None)
}

pub(super) fn set_with(peers: &[Arc<Peer>], policy: &Policy, sticky: Option<&Sticky>) -> Set {
    seed(7);
    Set::welcome(peers, Tick::now());
    Set::new(0, peers.to_vec(), policy, sticky)
}

/// How often each peer is chosen in so many picks that do not last.
pub(super) fn counts(set: &Set, picks: usize) -> Vec<usize> {
    let mut counts = vec![0; set.peers.len()];
    for _ in 0..picks {
        if let Some(lease) = set.pick(&Ask::default()) {
            counts[number(set, &lease)] += 1;
        }
    }
    counts
}

pub(super) fn number(set: &Set, lease: &Lease) -> usize {
    set.peers.iter().position(|peer| Arc::ptr_eq(peer, lease.peer())).unwrap()
}

#[test]
fn backups_serve_only_where_no_other_can() {
    let peers = peers(4, |number, peer| {
        peer.backup = number >= 2;
        peer.max_conns = 1;
    });
    let set = set(&peers, &Policy::RoundRobin);
    let mut held: Vec<Lease> = (0..4).map(|_| set.pick(&Ask::default()).unwrap()).collect();
    let order: Vec<usize> = held.iter().map(|lease| number(&set, lease)).collect();
    assert_eq!(order, [0, 1, 2, 3]);
    assert!(set.pick(&Ask::default()).is_none(), "all are full");
    held.remove(1);
    assert_eq!(number(&set, &set.pick(&Ask::default()).unwrap()), 1);
}

#[test]
fn nobody_is_tried_twice() {
    let peers = peers(3, |_, _| {});
    let set = set(&peers, &Policy::RoundRobin);
    let mut tried = Vec::new();
    while let Some(lease) = set.pick(&Ask { tried: &tried, ..Ask::default() }) {
        tried.push(Arc::clone(lease.peer()));
    }
    assert_eq!(tried.len(), 3);
}

/// One that fails is not asked more often for that, and those who serve in its place do so in turn.
#[test]
fn a_retry_takes_nobodys_turn() {
    let peers = peers(3, |_, _| {});
    let set = set(&peers, &Policy::RoundRobin);
    let (mut first, mut served) = ([0; 3], [0; 3]);
    for _ in 0..300 {
        let mut lease = set.pick(&Ask::default()).unwrap();
        first[number(&set, &lease)] += 1;
        if number(&set, &lease) == 0 {
            let tried = [Arc::clone(lease.peer())];
            lease = set.pick(&Ask { tried: &tried, ..Ask::default() }).unwrap();
        }
        served[number(&set, &lease)] += 1;
    }
    assert_eq!((first, served), ([100; 3], [0, 150, 150]));
}

#[test]
fn the_turns_of_one_that_is_full_do_not_go_to_its_neighbour() {
    let peers = peers(4, |number, peer| peer.max_conns = u32::from(number == 1));
    let set = set(&peers, &Policy::RoundRobin);
    let _held = Lease::new(&peers[1], false).unwrap();
    assert_eq!(counts(&set, 300), [100, 0, 100, 100]);
}

#[test]
fn a_reduced_share_goes_to_all_others() {
    let peers = peers(4, |_, peer| peer.slow_start = Duration::from_secs(10));
    let set = set(&peers, &Policy::RoundRobin);
    let start = Tick::now();
    peers[2].vitals.returns(start);
    let ask = Ask { now: start.after(Duration::from_secs(5)), ..Ask::default() };
    let mut counts = [0_usize; 4];
    (0..7000).for_each(|_| counts[number(&set, &set.pick(&ask).unwrap())] += 1);
    assert!(counts[2].abs_diff(1000) < 100 && [0, 1, 3].iter().all(|i| counts[*i].abs_diff(2000) < 100), "{counts:?}");
}

#[test]
fn failures_lower_the_share_for_a_while() {
    let peers = peers(2, |_, peer| (peer.weight, peer.max_fails) = (10, 4));
    let set = set(&peers, &Policy::RoundRobin);
    let error = Error::from(Kind::Connect);
    peers[0].failed(&error);
    assert_eq!(peers[0].share(Tick::now()), WHOLE - WHOLE / 5, "10 / 4 is 2 for nginx");
    let counts = counts(&set, 100);
    assert!(counts[0] >= 45, "{counts:?}");
    assert_eq!(peers[0].share(Tick::now()), WHOLE, "it came back one by one");
    for _ in 0..3 {
        peers[0].failed(&error);
    }
    assert_eq!(peers[0].state(), State::Unavailable);
    assert!((0..50).all(|_| number(&set, &set.pick(&Ask::default()).unwrap()) == 1));
}

#[test]
fn one_that_drains_or_is_down_is_left_out() {
    let peers = peers(3, |number, peer| {
        peer.drain = number == 0;
        peer.down = number == 1;
    });
    assert_eq!(counts(&set(&peers, &Policy::RoundRobin), 5), [0, 0, 5]);
}

#[test]
fn a_slow_start_grows_to_the_whole_share() {
    let peers = peers(2, |_, peer| peer.slow_start = Duration::from_secs(10));
    let set = set(&peers, &Policy::RoundRobin);
    let start = Tick::now();
    assert_eq!(peers[1].share(start), WHOLE, "all are new: nobody else could serve");
    peers[1].vitals.returns(start);
    let share = |seconds| peers[1].share(start.after(Duration::from_secs(seconds)));
    assert_eq!([share(0), share(5), share(9)], [WHOLE / 100, WHOLE / 2, WHOLE * 9 / 10]);
    let counts = counts(&set, 2000);
    assert!(counts[1] < 40 && counts[0] > 1960, "{counts:?}");
    assert_eq!([share(10), share(0)], [WHOLE, WHOLE], "it is over");
}

#[test]
fn one_that_joins_others_starts_slowly() {
    let shared = Shared::default();
    let mut config = [peer(0), peer(1)];
    for one in &mut config {
        one.slow_start = Duration::from_secs(30);
    }
    let made = |count: usize| -> Vec<Arc<Peer>> {
        let numbered = config[..count].iter().enumerate();
        numbered.map(|(number, peer)| Arc::new(Peer::new(peer, &address(number), &"u".into(), &shared))).collect()
    };
    let first = made(1);
    Set::welcome(&first, Tick::now());
    let second = made(2);
    Set::welcome(&second, Tick::now());
    let shares = |peers: &[Arc<Peer>]| -> Vec<u32> { peers.iter().map(|peer| peer.share(Tick::now())).collect() };
    assert_eq!(shares(&second)[0], WHOLE);
    assert!(shares(&second)[1] < WHOLE / 10);
}

#[test]
fn the_last_room_is_taken_once() {
    let peers = peers(1, |_, peer| peer.max_conns = 10);
    let taken: usize = std::thread::scope(|scope| {
        let one = || (0..100).filter_map(|_| Lease::new(&peers[0], false)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        let leases: Vec<Vec<Lease>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        leases.iter().map(Vec::len).sum()
    });
    assert_eq!((taken, peers[0].vitals.active()), (10, 0));
}
