//! Headers that protect browsers, on every answer that lacks them: the stock plugin behind the key
//! `security_headers`. README.md has the keys.

pub mod policy;

use policy::Policy;
use tidegate_plugin::{ConfigError, ConfigSchema, Edit, Plugin, Reply, ResponseHeaders, request, response};

/// The plugin: the policy and the answer it asks about.
#[derive(Debug)]
pub struct SecurityHeaders(Policy);

impl Plugin for SecurityHeaders {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(config).map(Self)
    }
}

impl ResponseHeaders for SecurityHeaders {
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        Ok(self.0.edits(|name| response::header(name).is_some(), request::variable))
    }
}

impl ConfigSchema for SecurityHeaders {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(SecurityHeaders: response_headers, config_schema);
