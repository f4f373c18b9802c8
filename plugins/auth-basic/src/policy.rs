//! Whose credentials a header holds: pure logic.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tidegate_plugin::ConfigError;

use crate::password::Password;

/// The configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What browsers show when they ask for credentials. nginx: `auth_basic`.
    pub realm: String,
    /// The text of an htpasswd file. nginx: `auth_basic_user_file`.
    pub users: String,
}

/// How many credentials are remembered at most: 64 bytes each, or so.
const REMEMBERED: usize = 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    challenge: String,
    users: Vec<User>,
    by_name: HashMap<Box<str>, usize>,
    /// Credentials that were found right, by the SHA-256 of their text: bcrypt costs
    /// milliseconds on purpose, and a client should pay it once and not at each
    /// handshake. Only right ones, so that guessing costs the full price.
    remembered: HashMap<[u8; 32], usize>,
}

#[derive(Debug)]
struct User {
    name: Box<str>,
    password: Password,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong, and for `users` the line.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.realm.is_empty() {
            return Err(ConfigError::new("/realm", "must not be empty"));
        }
        if config.realm.chars().any(char::is_control) {
            return Err(ConfigError::new("/realm", "must not have control characters"));
        }
        let realm = config.realm.replace('\\', r"\\").replace('"', "\\\"");
        let mut policy = Self {
            challenge: format!("Basic realm=\"{realm}\", charset=\"UTF-8\""),
            users: Vec::new(),
            by_name: HashMap::new(),
            remembered: HashMap::new(),
        };
        for (index, line) in config.users.lines().enumerate() {
            let added = policy.add(line.trim_end());
            added.map_err(|what| ConfigError::new("/users", format!("line {}: {what}", index + 1)))?;
        }
        Ok(policy)
    }

    /// A line `name:password` or `name:password:comment`.
    fn add(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, rest) = line.split_once(':').ok_or("not `name:password`")?;
        if name.is_empty() {
            return Err("there is no name before the `:`".to_owned());
        }
        let password = rest.split(':').next().unwrap_or_default();
        let password = Password::parse(password).map_err(|what| format!("user `{name}`: {what}"))?;
        // As nginx: of two lines with one name the first counts.
        self.by_name.entry(name.into()).or_insert(self.users.len());
        self.users.push(User { name: name.into(), password });
        Ok(())
    }

    /// The value of WWW-Authenticate.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The user whose credentials an Authorization header holds, if they are right.
    pub fn user(&mut self, header: &[u8]) -> Option<&str> {
        let (scheme, credentials) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let credentials = credentials.trim_ascii();
        // The text as sent stands for what it decodes to.
        let digest: [u8; 32] = Sha256::digest(credentials).into();
        let index = match self.remembered.get(&digest) {
            Some(index) => *index,
            None => {
                let index = self.verify(credentials)?;
                if self.remembered.len() >= REMEMBERED {
                    self.remembered.clear();
                }
                self.remembered.insert(digest, index);
                index
            }
        };
        self.users.get(index).map(|user| &*user.name)
    }

    fn verify(&self, credentials: &[u8]) -> Option<usize> {
        let decoded = BASE64.decode(credentials).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (name, password) = decoded.split_at_checked(colon)?;
        let index = *self.by_name.get(std::str::from_utf8(name).ok()?)?;
        let user = self.users.get(index)?;
        user.password.is(password.get(1..)?).then_some(index)
    }
}

#[cfg(test)]
mod tests;
