//! What upstreams and clients see: the stock plugin behind `set_headers` and its
//! relatives, and `default_headers`. README.md has the keys and how they
//! compare with nginx.

mod cookies;
pub mod policy;
mod rewrites;
pub mod upstream;

use policy::Policy;
use tidegate_plugin::{
    ConfigError, ConfigSchema, Edit, Plugin, Reply, RequestHeaders, ResponseHeaders, request, response,
};
use upstream::Answer;

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
        Ok(self.0.response_edits(&Current, request::variable))
    }
}

/// The answer that the hook runs for.
struct Current;

impl Answer for Current {
    fn status(&self) -> u16 {
        response::status()
    }

    fn values(&self, name: &str) -> Vec<String> {
        let values = response::header_all(name).into_iter();
        values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    fn is_local(&self) -> bool {
        request::variable("local_answer").is_some()
    }

    fn base_url(&self, host: Option<&str>, with_port: bool) -> String {
        request::base_url(host, with_port)
    }
}

impl ConfigSchema for HeaderMap {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(HeaderMap: request_headers, response_headers, config_schema);
