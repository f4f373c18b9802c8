//! What a route says of zones, and the judgement of a request by it.

use std::sync::Arc;

use http::StatusCode;

use super::open::{Caps, Class, Opened, Slot};
use super::rate::Rates;
use super::{Zone, Zones, bucket};
use crate::config::{self, Level};
use crate::hook::View;

/// The limits of one route.
pub struct Limits {
    /// The largest body, bytes; none for no limit. nginx: `client_max_body_size`.
    pub max_body: Option<u64>,
    /// Rates, in order. nginx: `limit_req`.
    pub rates: Box<[RateRule]>,
    /// What a request beyond a rate gets. nginx: `limit_req_status` and its like.
    pub rate_refusal: Refusal,
    /// Numbers, in order. nginx: `limit_conn`.
    pub open: Box<[OpenRule]>,
    /// What a request beyond a number gets. nginx: `limit_conn_status` and its like.
    pub open_refusal: Refusal,
}

/// A rate that holds for a route.
pub struct RateRule {
    zone: Arc<Zone>,
    rates: Arc<Rates>,
    /// Thousandths of requests that may come beyond the rate. nginx: `burst=`.
    burst: u64,
    /// Thousandths of them that do not wait. nginx: `delay=`, `nodelay`.
    delay: u64,
}

/// A number that holds for a route.
pub struct OpenRule {
    zone: Arc<Zone>,
    opened: Arc<Opened>,
    caps: Caps,
}

/// What a request gets that must not pass.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The status, 400 to 599.
    pub status: StatusCode,
    /// Only say so, and let it pass. nginx: `limit_req_dry_run`.
    pub dry_run: bool,
    /// How loudly.
    pub level: Level,
}

/// What the rates say to a request. The excess is in thousandths of requests.
pub enum Rated<'a> {
    /// It has no key in any zone.
    NotCounted,
    /// It may pass at once.
    Passed,
    /// It may pass in so many ms.
    Delayed(u64, u64, &'a Zone),
    /// It is too much.
    Refused(u64, &'a Zone),
}

/// A number that is reached, in this zone.
pub struct Full<'a>(pub &'a Zone);

impl Limits {
    /// Make a route's limits ready.
    pub fn new(config: &config::Limits, zones: &Zones) -> Self {
        // Every name was found when the configuration was read.
        let rate = |rule: &config::RateLimit| {
            let zone = zones.get(&rule.zone)?;
            Some(RateRule {
                zone: Arc::clone(zone),
                rates: zone.rates(),
                burst: u64::from(rule.burst) * bucket::ONE,
                delay: rule.delay.map_or(u64::MAX, |delay| u64::from(delay) * bucket::ONE),
            })
        };
        let open = |rule: &config::OpenLimit| {
            let caps = Caps { total: rule.total, requests: rule.requests, tunnels: rule.tunnels };
            let zone = zones.get(&rule.zone)?;
            Some(OpenRule { zone: Arc::clone(zone), opened: zone.opened(), caps })
        };
        Self {
            max_body: config.max_body,
            rates: config.rates.iter().filter_map(rate).collect(),
            rate_refusal: Refusal::new(&config.rate_refusal),
            open: config.open.iter().filter_map(open).collect(),
            open_refusal: Refusal::new(&config.open_refusal),
        }
    }

    /// Judge a request by the rates, at a time of [`super::now`]. As nginx does, every zone
    /// looks first, and only if all let it pass is it put into their buckets.
    pub fn rate(&self, view: &View, now: u64) -> Rated<'_> {
        let Some((last, others)) = self.rates.split_last() else { return Rated::NotCounted };
        let mut counted = false;
        for rule in others {
            match rule.look(view, now, false) {
                None => {}
                Some(Ok(_)) => counted = true,
                Some(Err(excess)) => return Rated::Refused(excess, &rule.zone),
            }
        }
        let mut worst = (0, 0, last);
        match last.look(view, now, true) {
            None if !counted => return Rated::NotCounted,
            None => {}
            Some(Ok(excess)) => worst = (last.wait(excess), excess, last),
            Some(Err(excess)) => return Rated::Refused(excess, &last.zone),
        }
        for rule in others.iter().rev() {
            let Some(excess) = rule.take(view, now) else { continue };
            let wait = rule.wait(excess);
            if wait > worst.0 {
                worst = (wait, excess, rule);
            }
        }
        match worst {
            (0, ..) => Rated::Passed,
            (wait, excess, rule) => Rated::Delayed(wait, excess, &rule.zone),
        }
    }

    /// Take a place in every zone of the numbers; the places, empty where nothing is counted.
    ///
    /// # Errors
    /// The first zone that has none left. Places taken before are free again.
    pub fn enter(&self, view: &View, class: Class) -> Result<Vec<Slot>, Full<'_>> {
        let mut slots = Vec::new();
        for OpenRule { zone, opened, caps } in &self.open {
            match zone.with_key(view, |key| opened.enter(key, class, caps)) {
                None => {}
                Some(Some(slot)) => slots.push(slot),
                Some(None) => return Err(Full(zone)),
            }
        }
        Ok(slots)
    }
}

impl RateRule {
    fn look(&self, view: &View, now: u64, take: bool) -> Option<Result<u64, u64>> {
        self.zone.with_key(view, |key| self.rates.look(key, self.zone.rate, self.burst, now, take))
    }

    fn take(&self, view: &View, now: u64) -> Option<u64> {
        self.zone.with_key(view, |key| self.rates.take(key, self.zone.rate, now))
    }

    fn wait(&self, excess: u64) -> u64 {
        bucket::wait(excess, self.delay, self.zone.rate)
    }
}

impl Refusal {
    fn new(config: &config::Refusal) -> Self {
        Self {
            // Its bounds were checked when the configuration was read.
            status: StatusCode::from_u16(config.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            dry_run: config.dry_run,
            level: config.level,
        }
    }
}

#[cfg(test)]
mod tests;
