//! The checks of an upstream's peers: one task for each, as long as it is in the set.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::active::Verdict;
use super::{chance, probe};
use crate::config::{self, OnUnhealthy};
use crate::upstream::{Peer, Tick, Upstream};

/// How long a peer may take to close a WebSocket that was opened to check it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// Ends every tunnel of a peer, by [`super::super::Vitals::id`].
#[derive(Clone)]
pub struct Cut(Arc<dyn Fn(u64) + Send + Sync>);

impl Cut {
    /// What ends them.
    pub fn new(cut: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(cut))
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}

impl Upstream {
    /// Whether it has anything to check.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Check its peers, whichever they are, until this is dropped.
    pub async fn check(self: Arc<Self>, cut: Cut) {
        let mut tasks = JoinSet::new();
        let mut checked: HashMap<u64, AbortHandle> = HashMap::new();
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let peers: HashMap<u64, Arc<Peer>> =
                self.peers().into_iter().map(|peer| (peer.vitals.id(), peer)).collect();
            checked.retain(|id, task| {
                let stays = peers.contains_key(id);
                if !stays {
                    task.abort();
                }
                stays
            });
            for (id, peer) in peers {
                let settings = peer.health.clone().filter(|_| !peer.down);
                let Some(settings) = settings else { continue };
                checked.entry(id).or_insert_with(|| tasks.spawn(watch(peer, settings, cut.clone())));
            }
            while tasks.try_join_next().is_some() {}
            changed.await;
        }
    }
}

/// Check one peer again and again.
async fn watch(peer: Arc<Peer>, settings: Arc<config::Health>, cut: Cut) {
    let active = &peer.vitals.health.active;
    let mut ends = Ends { drain: settings.on_unhealthy, at: None };
    if active.verdict() == Verdict::Unhealthy {
        // What began before a reload goes on.
        ends.begin(active.judged_at());
    }
    let mut next = Instant::now() + first_wait(&settings, active.checked_at(), Tick::now());
    loop {
        ends.wait(&peer, &cut, next).await;
        let found = timeout(settings.timeout, probe::check(&peer, &settings)).await;
        let found = found.unwrap_or_else(|_elapsed| Err(format!("no answer within {:?}", settings.timeout)));
        let (now, was_out) = (Tick::now(), !peer.passes_checks());
        let verdict = active.note(&settings, found.is_ok(), now);
        if let Err(why) = &found {
            tracing::debug!(peer = %peer.name, upstream = %peer.upstream, %why, "check failed");
            peer.vitals.health.note(format!("check: {why}"));
        }
        match verdict {
            Some(Verdict::Unhealthy) => {
                let why = found.as_ref().err().map_or("", String::as_str);
                tracing::warn!(peer = %peer.name, upstream = %peer.upstream, %why, "peer is unhealthy");
                peer.vitals.health.changed();
                if settings.on_unhealthy == OnUnhealthy::Close {
                    (cut.0)(peer.vitals.id());
                }
                ends.begin(now);
            }
            Some(_) if was_out => {
                tracing::info!(peer = %peer.name, upstream = %peer.upstream, "peer is healthy");
                peer.vitals.health.changed();
                peer.recovered(now);
                ends.at = None;
            }
            // A peer in use that had not been checked before.
            Some(_) | None => {}
        }
        if let Ok(Some(socket)) = found {
            // It does not matter how that ends.
            let _slow = timeout(FAREWELL, probe::goodbye(socket)).await;
        }
        next = Instant::now() + settings.interval + part_of(settings.jitter);
    }
}

/// How long the first check waits: those of many peers are spread over the interval, and a reload
/// moves none that is due; a peer that nobody may use before its check is checked soon.
fn first_wait(settings: &config::Health, checked_at: Option<Tick>, now: Tick) -> Duration {
    match checked_at {
        Some(at) => settings.interval.saturating_sub(now.since(at)) + part_of(settings.jitter),
        None if settings.mandatory => part_of(settings.jitter),
        None => part_of(settings.interval),
    }
}

/// A random part of a time.
fn part_of(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance().checked_rem(millis.saturating_add(1)).unwrap_or(0))
}

/// When the tunnels of an unhealthy peer end.
struct Ends {
    drain: OnUnhealthy,
    at: Option<Instant>,
}

impl Ends {
    /// The peer has been unhealthy since then.
    fn begin(&mut self, since: Tick) {
        if let OnUnhealthy::Drain(time) = self.drain {
            self.at = Some(Instant::now() + time.saturating_sub(Tick::now().since(since)));
        }
    }

    /// Wait for the next check; meanwhile the time of the tunnels may come.
    async fn wait(&mut self, peer: &Peer, cut: &Cut, next: Instant) {
        if let Some(at) = self.at.filter(|at| *at <= next) {
            sleep(at.saturating_duration_since(Instant::now())).await;
            self.at = None;
            tracing::info!(peer = %peer.name, upstream = %peer.upstream, "ending the tunnels of an unhealthy peer");
            (cut.0)(peer.vitals.id());
        }
        sleep(next.saturating_duration_since(Instant::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_within() {
        assert_eq!(part_of(Duration::ZERO), Duration::ZERO);
        let parts: Vec<Duration> = (0..200).map(|_| part_of(Duration::from_millis(3))).collect();
        for millis in 0..=3 {
            assert!(parts.contains(&Duration::from_millis(millis)), "{millis}");
        }
        assert!(parts.iter().all(|part| *part <= Duration::from_millis(3)));
    }
}
