//! What is counted by, how much is too much, and the answer then: pure logic.
//!
//! Each limit is a token bucket, kept as one number: the time at which the bucket would be full
//! again (GCRA, ITU-T I.371). A request may come where that, with what it costs itself, is no
//! further ahead than the burst.

use std::time::Duration;

use serde::Deserialize;
use tidegate_plugin::kv::{KvError, Raised};
use tidegate_plugin::{ConfigError, Reply, Template};

/// The most time that a limit's whole burst may stand for: a day.
const LONGEST: i64 = 86_400_000_000;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The store: one of `[kv.*]`, which is granted by `kv:STORE`.
    pub store: String,
    /// What holds, all of it at once.
    pub limits: Vec<LimitConfig>,
    /// What becomes of a request for which the store has no answer.
    #[serde(default)]
    pub on_store_failure: OnStoreFailure,
    /// What a request beyond a limit is answered with.
    #[serde(default = "too_many_requests")]
    pub status: u16,
}

/// One limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Its name, in the store, in answers and in metrics.
    #[serde(default = "default_name")]
    pub name: String,
    /// What is counted by, with variables in it; a request whose key is empty is not counted.
    pub key: String,
    /// Requests in a second, minute, hour or day: `"10/s"`, `"100/m"`, `"1000/h"`, `"5000/d"`.
    pub rate: String,
    /// How many may come at once; a second's, minute's … worth where absent.
    #[serde(default)]
    pub burst: Option<u32>,
    /// What is counted.
    #[serde(default, rename = "for")]
    pub applies: Applies,
}

/// What a limit counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// Whatever comes.
    #[default]
    All,
    /// Requests that are no WebSocket handshakes.
    Requests,
    /// WebSocket handshakes.
    Handshakes,
}

/// What becomes of a request for which the store has no answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStoreFailure {
    /// It passes: who limits for fairness rather has no limit for a while than no service.
    #[default]
    Allow,
    /// It is answered with 503.
    Deny,
}

fn default_name() -> String {
    "default".to_owned()
}

fn too_many_requests() -> u16 {
    429
}

/// The configuration, ready to judge.
#[derive(Debug)]
pub struct Policy {
    limits: Vec<Limit>,
    on_store_failure: OnStoreFailure,
    status: u16,
}

#[derive(Debug)]
struct Limit {
    name: String,
    key: Template,
    applies: Applies,
    /// What one request costs, microseconds.
    cost: i64,
    /// How far ahead a full burst is, microseconds.
    burst: i64,
    /// How many that is.
    quota: i64,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is beyond the limit of this number, and gets this answer.
    Refuse(usize, Reply),
    /// The store had no answer; it goes on, or gets this one.
    Failed(KvError, Option<Reply>),
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if config.limits.is_empty() {
            return Err(ConfigError::new("/limits", "must not be empty"));
        }
        if !(400..600).contains(&config.status) {
            return Err(ConfigError::new("/status", "must be 400 to 599"));
        }
        let mut limits: Vec<Limit> = Vec::with_capacity(config.limits.len());
        for (number, limit) in config.limits.into_iter().enumerate() {
            let limit = Limit::new(number, limit)?;
            if limits.iter().any(|other| other.name == limit.name) {
                let message = format!("there is a limit `{}` already", limit.name);
                return Err(ConfigError::new(format!("/limits/{number}/name"), message));
            }
            limits.push(limit);
        }
        Ok(Self { limits, on_store_failure: config.on_store_failure, status: config.status })
    }

    /// The names of all limits, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|limit| limit.name.as_str())
    }

    /// Whether it matters if a request is a handshake.
    pub fn tells_apart(&self) -> bool {
        self.limits.iter().any(|limit| limit.applies != Applies::All)
    }

    /// Judge a request at `now`, in microseconds since 1970. `raise` is the store's: key, floor,
    /// what is added, the most, and how long the key lasts. Limits are asked in order, and those
    /// before one that refuses have counted the request.
    pub fn judge(
        &self,
        now: i64,
        handshake: bool,
        variable: impl Fn(&str) -> Option<String>,
        raise: impl Fn(&str, i64, i64, i64, Duration) -> Result<Raised, KvError>,
    ) -> Verdict {
        for (number, limit) in self.limits.iter().enumerate() {
            if !limit.counts(handshake) {
                continue;
            }
            let key = limit.key.value(&variable);
            if key.is_empty() {
                continue;
            }
            let key = short(&limit.name, &key);
            match raise(&key, now, limit.cost, now.saturating_add(limit.burst), limit.life()) {
                Ok(Raised { done: true, .. }) => {}
                Ok(Raised { done: false, value }) => {
                    return Verdict::Refuse(number, limit.refusal(self.status, value - now));
                }
                Err(error) => {
                    let deny = self.on_store_failure == OnStoreFailure::Deny;
                    let reply = || Reply::new(503).text("the rate limit cannot be checked\n");
                    return Verdict::Failed(error, deny.then(reply));
                }
            }
        }
        Verdict::Pass
    }
}

impl Limit {
    fn new(number: usize, config: LimitConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, message: &str| ConfigError::new(format!("/limits/{number}/{key}"), message);
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !is_name(&config.name) {
            return Err(wrong("name", "must be of ASCII letters, digits, `-`, `_` and `.`"));
        }
        let key = Template::parse(&config.key).map_err(|message| wrong("key", &message))?;
        if key == Template::default() {
            return Err(wrong("key", "must not be empty; a text without variables counts all requests together"));
        }
        let rate = rate(&config.rate)
            .ok_or_else(|| wrong("rate", "must be such as \"10/s\", \"100/m\", \"1000/h\" or \"5000/d\""))?;
        let quota = config.burst.map_or(rate.0, i64::from);
        if quota < 1 {
            return Err(wrong("burst", "must be at least 1: how many may come at once"));
        }
        let cost = rate.1 / rate.0;
        let burst = cost.saturating_mul(quota);
        if burst > LONGEST {
            return Err(wrong("burst", "takes more than a day to come back at this rate"));
        }
        Ok(Self { name: config.name, key, applies: config.applies, cost, burst, quota })
    }

    fn counts(&self, handshake: bool) -> bool {
        match self.applies {
            Applies::All => true,
            Applies::Requests => !handshake,
            Applies::Handshakes => handshake,
        }
    }

    /// How long a bucket that is not full is remembered: until it is full, and as much again for
    /// clocks of several proxies that differ.
    fn life(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.burst).unwrap_or_default().saturating_mul(2))
            .max(Duration::from_secs(2))
    }

    /// The answer where the bucket is full again only `ahead` from now.
    fn refusal(&self, status: u16, ahead: i64) -> Reply {
        // Until one more fits, and until all of them do; whole seconds, as both headers have them.
        let seconds = |micros: i64| micros.max(1).div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) > 0);
        let wait = seconds(ahead + self.cost - self.burst).max(1);
        let window = seconds(self.burst).max(1);
        let (name, quota) = (&self.name, self.quota);
        Reply::new(status)
            .header("Retry-After", wait.to_string())
            .header("RateLimit-Policy", format!("\"{name}\";q={quota};w={window}"))
            .header("RateLimit", format!("\"{name}\";r=0;t={wait}"))
            .text("too many requests\n")
    }
}

/// How many in how many microseconds.
fn rate(text: &str) -> Option<(i64, i64)> {
    let (number, unit) = text.split_once('/')?;
    let unit: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: i64 = number.parse().ok().filter(|number| (1..=1_000_000).contains(number))?;
    Some((number, unit * 1_000_000))
}

/// The longest key that is stored as it is, bytes: a store takes 512, with more before them.
const LONGEST_KEY: usize = 300;

/// The key in the store. A long one is cut, and told apart by a hash: a client that makes up
/// long ones could at most share a bucket with its own others.
fn short(name: &str, key: &str) -> String {
    if key.len() <= LONGEST_KEY {
        return format!("{name}:{key}");
    }
    // FNV-1a, 64 bits, twice with different beginnings.
    let hash =
        |start: u64| key.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let (a, b) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15));
    let head = key.get(..key.floor_char_boundary(LONGEST_KEY - 40)).unwrap_or_default();
    format!("{name}:{head}#{a:016x}{b:016x}")
}

#[cfg(test)]
mod tests;
