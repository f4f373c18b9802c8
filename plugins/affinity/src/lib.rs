//! Requests with the same cookie, header or variable go to the same peer, as long as that
//! peer is not loaded beyond a bound: a stock plugin for `upstreams.NAME.balancer`. README.md
//! has the keys and how they compare with nginx.

pub mod policy;
pub mod ring;

use policy::{By, Load, Policy};
use ring::Ring;
use tidegate_plugin::{Balancer, ConfigError, ConfigSchema, Peer, Plugin, peers, request};

/// The plugin: the policy, and the rings of the groups that it balances.
#[derive(Debug)]
pub struct Affinity {
    policy: Policy,
    rings: Vec<(u32, Ring)>,
}

impl Plugin for Affinity {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Ok(Self { policy: Policy::new(config)?, rings: Vec::new() })
    }
}

impl Balancer for Affinity {
    fn update(&mut self, group: u32, _name: String, peers: Vec<Peer>) {
        self.rings.retain(|(known, _)| *known != group);
        self.rings.push((group, Ring::new(&peers)));
    }

    fn pick(&mut self, group: u32) -> Option<u32> {
        let (_, ring) = self.rings.iter().find(|(known, _)| *known == group)?;
        let key = match self.policy.by() {
            By::Header(name) => request::header(name)?,
            By::Variable(name) => request::variable(name)?.into_bytes(),
        };
        self.policy.pick(ring, &key, &Current)
    }
}

/// The peers that the hook runs for.
struct Current;

impl Load for Current {
    fn active(&self, id: u32) -> Option<u32> {
        peers::active(id)
    }

    fn total(&self) -> u32 {
        peers::total()
    }
}

impl ConfigSchema for Affinity {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(Affinity: balancer, config_schema);
