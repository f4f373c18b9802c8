//! Which origins are allowed: pure logic.

use serde::Deserialize;
use tidegate_origins::Origins;
use tidegate_plugin::ConfigError;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Origins, `https://*.example.com`, `~re`, `~*re`, `null`, or `*` for every one.
    pub allow: Vec<String>,
    /// What a request without an Origin header gets.
    #[serde(default)]
    pub missing: Missing,
}

/// What a request without an Origin header gets. Browsers always send one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// It is refused.
    #[default]
    Deny,
    /// It passes.
    Allow,
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    missing: Missing,
    origins: Origins,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The entry that is no origin or pattern.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let origins = Origins::new(&config.allow);
        let origins = origins.map_err(|(index, what)| ConfigError::new(format!("/allow/{index}"), what))?;
        Ok(Self { missing: config.missing, origins })
    }

    /// Whether a request with this Origin header passes.
    pub fn allows(&self, origin: Option<Vec<u8>>) -> bool {
        match origin {
            Some(raw) => self.origins.contain(raw),
            None => self.missing == Missing::Allow,
        }
    }
}

#[cfg(test)]
mod tests;
