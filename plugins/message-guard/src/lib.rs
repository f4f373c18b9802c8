//! What the messages of a WebSocket may be: a stock plugin with hook `messages`. README.md has the
//! keys.

pub mod bucket;
pub mod config;
pub mod policy;
pub mod schema;

use std::collections::HashMap;

use config::{Check, Config};
use policy::{Answer, Arrived, Policy, State};
use tidegate_plugin::messages::{Interest, Message, Subscription, Verdict, Way};
use tidegate_plugin::metrics::Counter;
use tidegate_plugin::{ConfigError, ConfigSchema, Messages, Plugin, clock};

/// The plugin: the policies of both ways, and what is known of each tunnel.
#[derive(Debug)]
pub struct MessageGuard {
    to_upstream: Option<Guard>,
    to_client: Option<Guard>,
    tunnels: HashMap<u64, [State; 2]>,
}

/// The policy of one way, and how often each check refused a message.
#[derive(Debug)]
struct Guard {
    policy: Policy,
    refused: Vec<(Check, Counter)>,
}

impl Guard {
    fn new(pointer: &str, direction: &str, config: config::Checks) -> Result<Self, ConfigError> {
        let policy = Policy::new(pointer, config)?;
        let counter = |check: Check| {
            let labels = [("direction", direction), ("check", check.name())];
            let counter = Counter::new("refused_messages_total", "Messages that did not go on as they came.", &labels);
            counter.map(|counter| (check, counter)).map_err(|error| ConfigError::new(pointer, error.to_string()))
        };
        let refused = policy.checks().map(counter).collect::<Result<_, _>>()?;
        Ok(Self { policy, refused })
    }
}

impl Plugin for MessageGuard {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.to_upstream.is_none() && config.to_client.is_none() {
            return Err(ConfigError::new("", "it checks nothing: `to_upstream` or `to_client` is wanted"));
        }
        let guard = |pointer, direction, checks: Option<_>| {
            checks.map(|checks| Guard::new(pointer, direction, checks)).transpose()
        };
        Ok(Self {
            to_upstream: guard("/to_upstream", "in", config.to_upstream)?,
            to_client: guard("/to_client", "out", config.to_client)?,
            tunnels: HashMap::new(),
        })
    }
}

impl Messages for MessageGuard {
    fn open(&mut self, tunnel: u64) -> Option<Subscription> {
        let mut interest = Interest::empty();
        if self.to_upstream.is_some() {
            interest |= Interest::TEXT_TO_UPSTREAM | Interest::BINARY_TO_UPSTREAM;
        }
        if self.to_client.is_some() {
            interest |= Interest::TEXT_TO_CLIENT | Interest::BINARY_TO_CLIENT;
        }
        let guards = || self.to_upstream.iter().chain(&self.to_client);
        if guards().any(|guard| guard.policy.has_rate()) {
            let state = |guard: &Option<Guard>| guard.as_ref().map_or_else(State::default, |g| g.policy.opened());
            self.tunnels.insert(tunnel, [state(&self.to_upstream), state(&self.to_client)]);
        }
        // What nobody looks into need not be collected.
        let first = guards().map(|guard| guard.policy.first()).max_by_key(|first| first.unwrap_or(u32::MAX)).flatten();
        Some(Subscription { interest, first })
    }

    fn on_message(&mut self, tunnel: u64, message: Message, data: Vec<u8>) -> Verdict {
        let (guard, place) = match message.way {
            Way::ToUpstream => (&self.to_upstream, 0),
            Way::ToClient => (&self.to_client, 1),
        };
        let Some(guard) = guard else { return Verdict::Pass };
        let state = self.tunnels.get_mut(&tunnel).and_then(|states| states.get_mut(place));
        let arrived = Arrived { text: message.text, length: message.length, data: &data };
        let Some((check, answer)) = guard.policy.judge(state, &arrived, clock::monotonic) else { return Verdict::Pass };
        if let Some((_, counter)) = guard.refused.iter().find(|(other, _)| *other == check) {
            counter.add(1);
        }
        match answer {
            Answer::Drop => Verdict::Drop,
            Answer::Close { code, reason } => Verdict::closing(code, reason),
            Answer::Replace(text) => Verdict::replacing(text),
        }
    }

    fn close(&mut self, tunnel: u64) {
        self.tunnels.remove(&tunnel);
    }
}

impl ConfigSchema for MessageGuard {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(MessageGuard: messages, config_schema);
