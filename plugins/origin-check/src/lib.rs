//! Which origins may open a WebSocket or call a route: the stock plugin behind a
//! route's `origins`. README.md has the keys and how they compare with nginx.

pub mod policy;

use policy::Policy;
use tidegate_plugin::{ConfigError, ConfigSchema, Decision, Origin, Plugin, Reply, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct OriginCheck(Policy);

impl Plugin for OriginCheck {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

impl Origin for OriginCheck {
    fn check(&mut self) -> Decision {
        // Not `Allow`: a plugin of the operator's own may still refuse.
        if self.0.allows(request::header("origin")) {
            Decision::Next
        } else {
            Reply::new(403).text("origin not allowed\n").into()
        }
    }
}

impl ConfigSchema for OriginCheck {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(OriginCheck: origin, config_schema);
