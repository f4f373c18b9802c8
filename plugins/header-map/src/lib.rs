//! What upstreams and clients see: the stock plugin behind `set_headers` and its
//! relatives, and `default_headers`. README.md has the keys and how they
//! compare with nginx.

pub mod policy;
mod template;

use policy::Policy;
use tidegate_plugin::{ConfigError, Edit, Plugin, Reply, RequestHeaders, ResponseHeaders, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct HeaderMap(Policy);

impl Plugin for HeaderMap {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

impl RequestHeaders for HeaderMap {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        Ok(self.0.request_edits(request::variable))
    }
}

impl ResponseHeaders for HeaderMap {
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        Ok(self.0.response_edits(request::variable))
    }
}

tidegate_plugin::export!(HeaderMap: request_headers, response_headers);
