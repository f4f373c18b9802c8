//! Idle keep-alive connections to peers: one pool per worker, so without locks.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Peer};
use crate::config::Address;

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
    idle: HashMap<Address, VecDeque<Idle>>,
    sweeping: bool,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// Keep a connection.
pub(super) fn put(link: Link) {
    let (address, most) = (link.peer.address.clone(), link.keepalive);
    let idle = Idle { until: Instant::now() + link.timeout, link };
    let start_sweeping = POOL.with_borrow_mut(|pool| {
        let kept = pool.idle.entry(address).or_default();
        if kept.len() >= most {
            // The oldest is the likeliest to be closed by the peer.
            kept.pop_front();
        }
        kept.push_back(idle);
        !std::mem::replace(&mut pool.sweeping, true)
    });
    if start_sweeping {
        tokio::spawn(sweep());
    }
}

/// An idle connection to the peer, the one used last; none where there is none. A write may
/// stall for `send_timeout`.
pub fn checkout(peer: &Arc<Peer>, send_timeout: Duration) -> Option<Link> {
    let now = Instant::now();
    let mut link = POOL.with_borrow_mut(|pool| {
        let kept = pool.idle.get_mut(&peer.address)?;
        std::iter::from_fn(|| kept.pop_back()).find_map(|mut idle| idle.is_usable(now).then_some(idle.link))
    })?;
    link.stream.set_send_timeout(send_timeout);
    Some(link)
}

/// Close what was idle for too long or was closed by its peer, until nothing is left.
async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let done = POOL.with_borrow_mut(|pool| {
            for kept in pool.idle.values_mut() {
                kept.retain_mut(|idle| idle.is_usable(now));
            }
            pool.idle.retain(|_, kept| !kept.is_empty());
            pool.sweeping = !pool.idle.is_empty();
            !pool.sweeping
        });
        if done {
            return;
        }
    }
}
