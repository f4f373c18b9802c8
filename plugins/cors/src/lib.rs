//! Cross-origin resource sharing: the stock plugin behind a route's `cors`. README.md has the
//! keys.

pub mod policy;

use policy::Policy;
use tidegate_plugin::{
    ConfigError, ConfigSchema, Decision, Edit, Origin, Plugin, Reply, ResponseHeaders, request, response,
};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct Cors(Policy);

impl Plugin for Cors {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

/// Whether the request is a preflight: Fetch, "CORS-preflight request".
fn preflight() -> Option<(Vec<u8>, Vec<u8>)> {
    if request::method() != "OPTIONS" {
        return None;
    }
    Some((request::header("origin")?, request::header("access-control-request-method")?))
}

impl Origin for Cors {
    fn check(&mut self) -> Decision {
        // Before anyone asks for a password: a preflight has none to give.
        let Some((origin, method)) = preflight() else { return Decision::Next };
        let asked = policy::Asked { method, headers: request::header("access-control-request-headers") };
        let mut reply = Reply::new(204);
        for (name, value) in self.0.preflight(origin, &asked) {
            reply = reply.header(name, value);
        }
        Decision::Deny(reply)
    }
}

impl ResponseHeaders for Cors {
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        // Fetch has no CORS for WebSockets; a preflight's answer has its headers already.
        if request::is_websocket() || preflight().is_some() {
            return Ok(Vec::new());
        }
        let vary = response::header_all("vary");
        Ok(self.0.edits(request::header("origin"), &vary))
    }
}

impl ConfigSchema for Cors {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(Cors: origin, response_headers, config_schema);
