//! Which peer a key goes to: pure logic.

use serde::Deserialize;
use tidegate_plugin::ConfigError;

use crate::ring::{Place, Ring};

/// Peers that are looked at for one request at most: more would cost more than they are worth.
const MOST_LOOKS: usize = 64;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What requests are told apart by.
    by: ConfigBy,
    /// How much more than its fair share of all requests and tunnels a peer may have before new
    /// ones pass it over: 1 or more; none for no bound.
    #[serde(default)]
    bounded_load: Option<f64>,
    /// The bound is never below this many requests and tunnels.
    #[serde(default = "one")]
    least_bound: u32,
}

/// What requests are told apart by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConfigBy {
    Cookie(String),
    Header(String),
    Variable(String),
}

fn one() -> u32 {
    1
}

/// Where a request's key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The first header of this name.
    Header(String),
    /// The variable of this name; cookies are such.
    Variable(String),
}

/// What peers serve, as the host tells it.
pub trait Load {
    /// Requests and tunnels of one; none where it cannot be picked.
    fn active(&self, id: u32) -> Option<u32>;
    /// Requests and tunnels of all.
    fn total(&self) -> u32;
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    by: By,
    bounded_load: Option<f64>,
    least_bound: u32,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let by = match config.by {
            ConfigBy::Cookie(name) => By::Variable(format!("cookie_{}", checked("/by/cookie", name, is_token)?)),
            ConfigBy::Header(name) => By::Header(checked("/by/header", name, is_token)?),
            ConfigBy::Variable(name) => By::Variable(checked("/by/variable", name, is_variable)?),
        };
        // Also where it is no number at all.
        if config.bounded_load.is_some_and(|factor| !(1.0..=1e6).contains(&factor)) {
            return Err(ConfigError::new("/bounded_load", "must be a number from 1 to 1000000"));
        }
        Ok(Self { by, bounded_load: config.bounded_load, least_bound: config.least_bound })
    }

    /// Where a request's key stands.
    pub fn by(&self) -> &By {
        &self.by
    }

    /// The peer that a request with this key goes to: the first on the ring that can be picked
    /// and is not above its bound. Where all that were looked at are above it, the one that is
    /// loaded least for its weight. None where there is no key, or no peer to pick.
    pub fn pick(&self, ring: &Ring, key: &[u8], load: &impl Load) -> Option<u32> {
        if key.is_empty() {
            return None;
        }
        let most = ring.len().min(MOST_LOOKS);
        let (mut seen, mut out_of_use, mut total) = (Vec::new(), 0, None);
        let mut least: Option<(Place, u32)> = None;
        for place in ring.from(key) {
            if seen.contains(&place.id) {
                continue;
            }
            match (load.active(place.id), self.bounded_load) {
                (None, _) => out_of_use += u64::from(place.weight),
                (Some(_), None) => return Some(place.id),
                (Some(active), Some(factor)) => {
                    let total = *total.get_or_insert_with(|| load.total());
                    // What cannot be picked takes no share: the others have to.
                    let weight = ring.weight().saturating_sub(out_of_use);
                    if active < self.bound(factor, total, place.weight, weight) {
                        return Some(place.id);
                    }
                    if least.is_none_or(|least| is_less((place, active), least)) {
                        least = Some((place, active));
                    }
                }
            }
            seen.push(place.id);
            if seen.len() >= most {
                break;
            }
        }
        least.map(|(place, _)| place.id)
    }

    /// Requests and tunnels below which a peer takes one more: its share of all of them, with
    /// the one that comes, by weight, times the factor.
    fn bound(&self, factor: f64, total: u32, weight: u32, weights: u64) -> u32 {
        let share = (f64::from(total) + 1.0) * f64::from(weight) / (weights.max(1) as f64);
        // From a float the conversion saturates.
        self.least_bound.max((share * factor).ceil() as u32)
    }
}

/// Whether the first is loaded less for its weight.
fn is_less((a, active_a): (Place, u32), (b, active_b): (Place, u32)) -> bool {
    u64::from(active_a) * u64::from(b.weight) < u64::from(active_b) * u64::from(a.weight)
}

fn checked(pointer: &str, name: String, is_good: fn(u8) -> bool) -> Result<String, ConfigError> {
    if name.is_empty() || !name.bytes().all(is_good) {
        return Err(ConfigError::new(pointer, format!("\"{name}\" is not a name")));
    }
    Ok(name)
}

/// RFC 9110 section 5.6.2, which RFC 6265 takes for cookies' names too.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_variable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
