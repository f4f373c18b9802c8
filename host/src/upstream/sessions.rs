//! Sessions that were learnt from answers: a bounded store for all workers.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Tick;

/// Parts with a lock of their own, so that workers seldom meet at one.
const SHARDS: usize = 16;
/// How many old sessions are looked at to make room for a new one.
const LOOKS: usize = 8;

/// Which peer each session is stuck to. Names of sessions are kept as keyed hashes: they may
/// be what logs a user in.
#[derive(Debug)]
pub(super) struct Sessions {
    shards: Box<[Mutex<Shard>]>,
    keys: [RandomState; 2],
    /// Sessions of one shard.
    most: usize,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct Shard {
    held: HashMap<u128, Session>,
    /// About from the one that was asked for longest ago; the time is when it came here.
    order: VecDeque<(u128, Tick)>,
}

#[derive(Debug)]
struct Session {
    /// What stands for the peer.
    token: Arc<str>,
    asked: Tick,
}

impl Sessions {
    /// A store of so many sessions, each of which ends when it was not asked for in this time.
    pub(super) fn new(most: usize, timeout: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: [RandomState::new(), RandomState::new()],
            most: most.div_ceil(SHARDS).max(1),
            timeout,
        }
    }

    /// Whether it is as a configuration says.
    pub(super) fn fits(&self, most: usize, timeout: Duration) -> bool {
        self.most == most.div_ceil(SHARDS).max(1) && self.timeout == timeout
    }

    /// The peer of a session.
    pub(super) fn find(&self, name: &[u8], now: Tick) -> Option<Arc<str>> {
        if name.is_empty() {
            return None;
        }
        let (key, shard) = self.place(name)?;
        let shard = shard.lock();
        let session = shard.held.get(&key)?;
        (now.since(session.asked) < self.timeout).then(|| Arc::clone(&session.token))
    }

    /// A session begins, or goes on with this peer.
    pub(super) fn put(&self, name: &[u8], token: &Arc<str>, now: Tick) {
        let Some((key, shard)) = self.place(name) else { return };
        let mut shard = shard.lock();
        if !shard.touch(key, token, now) {
            shard.make_room(self.most, self.timeout, now);
            shard.held.insert(key, Session { token: Arc::clone(token), asked: now });
            shard.order.push_back((key, now));
        }
    }

    /// A session goes on with this peer, if it is known.
    pub(super) fn touch(&self, name: &[u8], token: &Arc<str>, now: Tick) {
        if let Some((key, shard)) = self.place(name) {
            shard.lock().touch(key, token, now);
        }
    }

    fn place(&self, name: &[u8]) -> Option<(u128, &Mutex<Shard>)> {
        let [upper, lower] = self.keys.each_ref().map(|key| key.hash_one(name));
        let shard = usize::try_from(lower).unwrap_or(0) % SHARDS;
        Some((u128::from(upper) << 64 | u128::from(lower), self.shards.get(shard)?))
    }
}

impl Shard {
    /// False where there is none.
    fn touch(&mut self, key: u128, token: &Arc<str>, now: Tick) -> bool {
        let Some(session) = self.held.get_mut(&key) else { return false };
        session.asked = now;
        if *session.token != **token {
            session.token = Arc::clone(token);
        }
        true
    }

    /// Forget what has ended, and where it is full the one of those looked at that was asked for
    /// longest ago.
    fn make_room(&mut self, most: usize, timeout: Duration, now: Tick) {
        for look in 1..=LOOKS {
            let Some((key, came)) = self.order.pop_front() else { return };
            let Some(asked) = self.held.get(&key).map(|session| session.asked) else { continue };
            let (ended, full) = (now.since(asked) >= timeout, self.held.len() >= most);
            if ended || full && (asked == came || look == LOOKS) {
                self.held.remove(&key);
            } else if full || asked != came {
                // It was asked for since: to the end with it.
                self.order.push_back((key, asked));
            } else {
                self.order.push_front((key, came));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sessions: &Sessions, name: u32, now: Tick) -> bool {
        sessions.find(&name.to_le_bytes(), now).is_some()
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_forgets_the_old_first() {
        let sessions = Sessions::new(160, Duration::from_secs(1000));
        let (token, start) = (Arc::<str>::from("a"), Tick::now());
        let at = |second: u32| start.after(Duration::from_secs(second.into()));
        for name in 0..2000_u32 {
            sessions.put(&name.to_le_bytes(), &token, at(name / 10));
            // One that is asked for all the time stays.
            sessions.put(b"loved", &token, at(name / 10));
        }
        let held: usize = sessions.shards.iter().map(|shard| shard.lock().held.len()).sum();
        let queued: usize = sessions.shards.iter().map(|shard| shard.lock().order.len()).sum();
        assert!(held <= 160 && queued <= 160, "{held} {queued}");
        assert!(sessions.find(b"loved", at(200)).is_some());
        let young = (1980..2000).filter(|name| found(&sessions, *name, at(200))).count();
        let old = (0..1000).filter(|name| found(&sessions, *name, at(200))).count();
        assert!(young >= 18 && old == 0, "{young} {old}");
    }

    #[test]
    fn a_session_ends_when_it_was_not_asked_for() {
        let sessions = Sessions::new(100, Duration::from_secs(10));
        let (a, b, start) = (Arc::<str>::from("a"), Arc::<str>::from("b"), Tick::now());
        let at = |second| start.after(Duration::from_secs(second));
        sessions.put(b"x", &a, start);
        sessions.touch(b"x", &b, at(9));
        assert_eq!(sessions.find(b"x", at(18)).as_deref(), Some("b"));
        assert_eq!(sessions.find(b"x", at(19)), None);
        sessions.touch(b"y", &a, start);
        assert_eq!(sessions.find(b"y", start), None, "only an answer begins one");
        assert_eq!(sessions.find(b"", start), None);
    }
}
