//! Rates of requests and handshakes by a key, over a store that all workers share, and with a
//! Redis all proxies. README.md has the keys.

pub mod policy;

use policy::{Policy, Verdict};
use tidegate_plugin::metrics::Counter;
use tidegate_plugin::{ConfigError, ConfigSchema, Edit, Plugin, Reply, RequestHeaders, clock, kv::Store, log, request};

/// The plugin: the policy, its store and what it counts.
#[derive(Debug)]
pub struct RateLimit {
    policy: Policy,
    store: Store,
    refused: Vec<Counter>,
    failed: Counter,
}

impl Plugin for RateLimit {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        let store = Store::open(&config.store)
            .map_err(|error| ConfigError::new("/store", tidegate_plugin::kv::describe(&error)))?;
        let policy = Policy::new(config)?;
        let counter = |name: &str, help, labels: &[_]| {
            Counter::new(name, help, labels).map_err(|refused| ConfigError::new("", refused.to_string()))
        };
        let refused = policy
            .names()
            .map(|limit| counter("rate_limit_refused_total", "Requests that a limit refused.", &[("limit", limit)]));
        let refused = refused.collect::<Result<_, _>>()?;
        let failed = counter("rate_limit_store_failures_total", "Requests for which the store had no answer.", &[])?;
        Ok(Self { policy, store, refused, failed })
    }
}

// After every hook that judges, so that keys can be made of what those found out, and a grant
// does not end the asking before it comes to this.
impl RequestHeaders for RateLimit {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        let now = i64::try_from(clock::unix().as_micros()).unwrap_or(i64::MAX);
        let handshake = self.policy.tells_apart() && request::is_websocket();
        let raise = |key: &str, floor, by, most, ttl| self.store.raise(key, floor, by, most, ttl);
        match self.policy.judge(now, handshake, request::variable, raise) {
            Verdict::Pass => Ok(Vec::new()),
            Verdict::Refuse(limit, reply) => {
                if let Some(counter) = self.refused.get(limit) {
                    counter.add(1);
                }
                Err(reply)
            }
            Verdict::Failed(error, reply) => {
                self.failed.add(1);
                log::warn(format!("the store has no answer: {}", tidegate_plugin::kv::describe(&error)));
                reply.map_or(Ok(Vec::new()), Err)
            }
        }
    }
}

impl ConfigSchema for RateLimit {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(RateLimit: request_headers, config_schema);
