//! Well-behaved: sets `x-greeting` to what its configuration says, counts in the metric
//! `greetings_total`, and logs a line when it starts.

use tidegate_plugin::metrics::Counter;
use tidegate_plugin::{ConfigError, Edit, Plugin, Reply, RequestHeaders, log};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: String,
}

struct Greeter {
    greeting: String,
    greetings: Counter,
}

impl Plugin for Greeter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.greeting.is_empty() {
            return Err(ConfigError::new("/greeting", "must not be empty"));
        }
        let greetings = Counter::new("greetings_total", "Requests greeted.", &[("guest", "greeter")])
            .map_err(|refused| ConfigError::new("", refused.to_string()))?;
        log::info(format_args!("greeting with `{}`", config.greeting));
        Ok(Self { greeting: config.greeting, greetings })
    }
}

impl RequestHeaders for Greeter {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        self.greetings.add(1);
        Ok(vec![Edit::set("x-greeting", self.greeting.as_str())])
    }
}

tidegate_plugin::export!(Greeter: request_headers);
