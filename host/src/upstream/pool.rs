//! Idle keep-alive connections to peers: one pool per worker, so without locks.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Peer};

/// How often connections that were idle for too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

struct Idle {
    link: Link,
    until: Instant,
}

impl Idle {
    fn is_usable(&mut self, now: Instant) -> bool {
        self.until > now && self.link.is_quiet()
    }
}

#[derive(Default)]
struct Pool {
    /// By way: what is kept to a peer serves no other one, nor the same by other settings.
    idle: HashMap<u64, VecDeque<Idle>>,
    sweeping: bool,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// Keep a connection that was used up to `now`.
pub(super) fn put(link: Link, now: Instant) {
    let (way, most) = (link.way_id, link.keepalive);
    let idle = Idle { until: now + link.timeout, link };
    let (too_many, start_sweeping) = POOL.with_borrow_mut(|pool| {
        let kept = pool.idle.entry(way).or_default();
        // The oldest is the likeliest to be closed by the peer.
        let too_many = if kept.len() >= most { kept.pop_front() } else { None };
        kept.push_back(idle);
        (too_many, !std::mem::replace(&mut pool.sweeping, true))
    });
    if let Some(idle) = too_many {
        idle.link.close();
    }
    if start_sweeping {
        tokio::spawn(sweep());
    }
}

/// An idle connection to the peer, the one used last; none where there is none. A write may
/// stall for `send_timeout`.
pub fn checkout(peer: &Arc<Peer>, send_timeout: Duration) -> Option<Link> {
    let now = Instant::now();
    let mut link = POOL.with_borrow_mut(|pool| {
        let kept = pool.idle.get_mut(&peer.way.id)?;
        std::iter::from_fn(|| kept.pop_back()).find_map(|mut idle| {
            if idle.is_usable(now) {
                return Some(idle.link);
            }
            idle.link.close();
            None
        })
    })?;
    link.stream.set_send_timeout(send_timeout);
    Some(link)
}

/// Close what was idle for too long, was closed by its peer, or leads to a peer that is no
/// more, until nothing is left.
async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let mut over = Vec::new();
        let done = POOL.with_borrow_mut(|pool| {
            pool.idle.retain(|_, kept| {
                for mut idle in std::mem::take(kept) {
                    match idle.link.is_wanted() && idle.is_usable(now) {
                        true => kept.push_back(idle),
                        false => over.push(idle.link),
                    }
                }
                !kept.is_empty()
            });
            pool.sweeping = !pool.idle.is_empty();
            !pool.sweeping
        });
        over.into_iter().for_each(Link::close);
        if done {
            return;
        }
    }
}
