//! Which addresses may come: pure logic.

use std::net::IpAddr;

use serde::Deserialize;
use tidegate_cidr::Cidr;
use tidegate_plugin::ConfigError;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `allow RANGE` or `deny RANGE`, in order; the first that fits decides. nginx: `allow`,
    /// `deny`.
    pub rules: Vec<String>,
    /// Whether an allowed address is a yes, which is enough where one yes is (`satisfy`), or
    /// no objection.
    #[serde(default)]
    pub grant: bool,
}

/// What the list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has no objection.
    None,
    /// The address may come, and that is enough.
    Yes,
    /// It may not.
    No,
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    grant: bool,
}

#[derive(Debug)]
struct Rule {
    allow: bool,
    /// None for `all`.
    range: Option<Cidr>,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first rule that is none.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, text) in config.rules.iter().enumerate() {
            let rule = Rule::parse(text);
            rules.push(rule.map_err(|what| ConfigError::new(format!("/rules/{index}"), format!("`{text}` {what}")))?);
        }
        Ok(Self { rules, grant: config.grant })
    }

    /// What the list says of an address.
    pub fn judge(&self, address: IpAddr) -> Answer {
        let fits = |rule: &&Rule| rule.range.is_none_or(|range| range.contains(address));
        match self.rules.iter().find(fits) {
            Some(rule) if !rule.allow => Answer::No,
            Some(_) if self.grant => Answer::Yes,
            // As nginx: where no rule fits, the list has nothing to say.
            _ => Answer::None,
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (Some(word), Some(range), None) = (words.next(), words.next(), words.next()) else {
            return Err("is not `allow RANGE` or `deny RANGE`".to_owned());
        };
        let allow = match word {
            "allow" => true,
            "deny" => false,
            _ => return Err("does not begin with `allow` or `deny`".to_owned()),
        };
        let range = match range {
            "all" => None,
            range => Some(Cidr::parse(range).map_err(|error| error.to_string())?),
        };
        Ok(Self { allow, range })
    }
}

#[cfg(test)]
mod tests;
