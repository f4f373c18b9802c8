//! An upstream decides who may come: the stock plugin behind a route's `auth_request`.
//! README.md has the keys and how they compare with nginx.

pub mod policy;

use policy::Policy;
use tidegate_plugin::{Authorizer, ConfigError, ConfigSchema, Plugin, Verdict, log, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct AuthRequest(Policy);

impl Plugin for AuthRequest {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(config).map(Self)
    }
}

impl Authorizer for AuthRequest {
    fn authorize(&mut self) -> Verdict {
        let answer = self.0.question(request::headers(), request::variable).send();
        let (verdict, complaint) = self.0.verdict(answer);
        if let Some(complaint) = complaint {
            log::error(complaint);
        }
        verdict
    }
}

impl ConfigSchema for AuthRequest {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(AuthRequest: authorizer, config_schema);
