//! HTTP Basic authentication against an htpasswd file: the stock plugin behind a
//! route's `auth_basic`. README.md has the keys and how they compare with nginx.

mod apr1;
mod bcrypt;
mod password;
pub mod policy;

use policy::Policy;
use tidegate_plugin::{Authorizer, ConfigError, ConfigSchema, Grant, Plugin, Reply, Verdict, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct AuthBasic(Policy);

impl Plugin for AuthBasic {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

impl Authorizer for AuthBasic {
    fn authorize(&mut self) -> Verdict {
        let user = request::header("authorization").and_then(|header| self.0.user(&header));
        match user {
            Some(user) => Grant::new().variable("remote_user", user).into(),
            None => Reply::new(401).header("www-authenticate", self.0.challenge()).text("credentials needed\n").into(),
        }
    }
}

impl ConfigSchema for AuthBasic {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(AuthBasic: authorizer, config_schema);
