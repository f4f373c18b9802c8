//! Counts the calls of its instance: `x-request-calls` for the upstream and
//! `x-response-calls` for the client. With a fresh instance per call both stay at 1.

use tidegate_plugin::{ConfigError, Edit, NoConfig, Plugin, Reply, RequestHeaders, ResponseHeaders};

struct Stateful {
    requests: u32,
    responses: u32,
}

impl Plugin for Stateful {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Self { requests: 0, responses: 0 })
    }
}

impl RequestHeaders for Stateful {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        self.requests += 1;
        Ok(vec![Edit::set("x-request-calls", self.requests.to_string())])
    }
}

impl ResponseHeaders for Stateful {
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        self.responses += 1;
        Ok(vec![Edit::set("x-response-calls", self.responses.to_string())])
    }
}

tidegate_plugin::export!(Stateful: request_headers, response_headers);
