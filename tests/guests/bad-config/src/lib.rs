//! Refuses every configuration.

use tidegate_plugin::{ConfigError, Decision, NoConfig, Origin, Plugin};

struct BadConfig;

impl Plugin for BadConfig {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, ConfigError> {
        Err(ConfigError::new("/thing", "is wrong"))
    }
}

impl Origin for BadConfig {
    fn check(&mut self) -> Decision {
        Decision::Next
    }
}

tidegate_plugin::export!(BadConfig: origin);
