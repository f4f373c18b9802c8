//! Who may come, by address: the stock plugin behind a route's `access`. README.md has the
//! keys and how they compare with nginx.

pub mod policy;

use policy::{Answer, Policy};
use tidegate_plugin::{Authorizer, ConfigError, ConfigSchema, Grant, Plugin, Reply, Verdict, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct AccessList(Policy);

impl Plugin for AccessList {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

impl Authorizer for AccessList {
    fn authorize(&mut self) -> Verdict {
        match self.0.judge(request::client().ip()) {
            Answer::None => Verdict::Next,
            Answer::Yes => Grant::new().into(),
            Answer::No => Verdict::Deny(Reply::new(403).text("address not allowed\n")),
        }
    }
}

impl ConfigSchema for AccessList {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(AccessList: authorizer, config_schema);
