//! Which headers are set, appended and removed: pure logic.

use serde::Deserialize;
use tidegate_header_lines::{check_name, check_value, sound};
use tidegate_plugin::{ConfigError, Edit, EditOperation, Template};

use crate::upstream::{Answer, Upstream, UpstreamConfig};

/// The configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For the upstream.
    #[serde(default)]
    pub request: HeadConfig,
    /// For the client; `defaults` means nothing here.
    #[serde(default)]
    pub response: HeadConfig,
    /// What is done to values that only the upstream sends.
    #[serde(default)]
    pub upstream: UpstreamConfig,
}

/// The changes of one head.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Set what every upstream should be told ([`DEFAULTS`]).
    #[serde(default)]
    pub defaults: bool,
    /// Names and templates; an empty value removes the header.
    #[serde(default)]
    pub set: Vec<(String, String)>,
    /// Names and templates; an empty value adds nothing.
    #[serde(default)]
    pub append: Vec<(String, String)>,
    /// Names and templates, appended only to an answer with one of [`ADDED_TO`]; an empty
    /// value adds nothing. Only for the client. nginx: `add_header` without `always`.
    #[serde(default)]
    pub add: Vec<(String, String)>,
    /// Names.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// The statuses that [`HeadConfig::add`] is for, as nginx has them.
pub const ADDED_TO: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

/// What the guides of nginx recommend to set for every upstream.
pub const DEFAULTS: [(&str, &str); 4] = [
    ("Host", "$host"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
];

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    request: Vec<Change>,
    response: Vec<Change>,
    /// The first of `response` that depend on the status.
    always: usize,
    upstream: Upstream,
}

/// One change of a head.
#[derive(Debug)]
struct Change {
    operation: EditOperation,
    /// In the case in which it is written.
    name: Box<str>,
    value: Template,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.response.defaults {
            return Err(ConfigError::new("/response/defaults", "only a request has default headers"));
        }
        if !config.request.add.is_empty() {
            return Err(ConfigError::new("/request/add", "only an answer has a status"));
        }
        let mut response = changes(&config.response, "/response")?;
        let always = response.len();
        response.extend(added(&config.response.add)?);
        let upstream = Upstream::new(&config.upstream)?;
        Ok(Self { request: changes(&config.request, "/request")?, response, always, upstream })
    }

    /// The edits of the request's headers; `variable` knows what the host knows.
    pub fn request_edits(&self, variable: impl Fn(&str) -> Option<String>) -> Vec<Edit> {
        edits(&self.request, &variable)
    }

    /// The edits of the response's headers.
    pub fn response_edits(&self, answer: &dyn Answer, variable: impl Fn(&str) -> Option<String>) -> Vec<Edit> {
        let has_status = self.always < self.response.len() && ADDED_TO.contains(&answer.status());
        let changes = if has_status { &*self.response } else { self.response.get(..self.always).unwrap_or_default() };
        // First, so that the rules for headers see and replace the result, as in nginx.
        let mut all = self.upstream.edits(answer, &variable);
        all.extend(edits(changes, &variable));
        all
    }
}

fn edits(changes: &[Change], variable: &dyn Fn(&str) -> Option<String>) -> Vec<Edit> {
    let mut edits = Vec::with_capacity(changes.len());
    for change in changes {
        let value = sound(change.value.value(variable));
        let operation = match change.operation {
            EditOperation::Append if value.is_empty() => continue,
            EditOperation::Set if value.is_empty() => EditOperation::Remove,
            operation => operation,
        };
        edits.push(Edit { operation, name: change.name.to_string(), value });
    }
    edits
}

/// The changes of a head in the order in which they are made: removals first, so that
/// what is set or appended under the same name stays.
fn changes(config: &HeadConfig, pointer: &str) -> Result<Vec<Change>, ConfigError> {
    let mut changes = Vec::new();
    let mut add = |operation, name: &str, value: &str| -> Result<(), (usize, String)> {
        check_name(name).map_err(|what| (0, what))?;
        check_value(value).map_err(|what| (1, what))?;
        let value = Template::parse(value).map_err(|what| (1, what))?;
        changes.push(Change { operation, name: name.into(), value });
        Ok(())
    };
    for (index, name) in config.remove.iter().enumerate() {
        let added = add(EditOperation::Remove, name, "");
        added.map_err(|(_, what)| ConfigError::new(format!("{pointer}/remove/{index}"), what))?;
    }
    if config.defaults {
        let named = config.set.iter().map(|(name, _)| name).chain(&config.remove);
        for (name, value) in DEFAULTS {
            if !named.clone().any(|other| other.eq_ignore_ascii_case(name)) {
                let added = add(EditOperation::Set, name, value);
                added.map_err(|(_, what)| ConfigError::new(format!("{pointer}/defaults"), what))?;
            }
        }
    }
    for (key, operation, pairs) in
        [("set", EditOperation::Set, &config.set), ("append", EditOperation::Append, &config.append)]
    {
        for (index, (name, value)) in pairs.iter().enumerate() {
            let added = add(operation, name, value);
            added.map_err(|(place, what)| ConfigError::new(format!("{pointer}/{key}/{index}/{place}"), what))?;
        }
    }
    Ok(changes)
}

/// The changes that depend on the status.
fn added(pairs: &[(String, String)]) -> Result<Vec<Change>, ConfigError> {
    let mut changes = Vec::with_capacity(pairs.len());
    for (index, (name, value)) in pairs.iter().enumerate() {
        let at = |place: usize, what| ConfigError::new(format!("/response/add/{index}/{place}"), what);
        check_name(name).map_err(|what| at(0, what))?;
        check_value(value).map_err(|what| at(1, what))?;
        let value = Template::parse(value).map_err(|what| at(1, what))?;
        // nginx: there is one of each at most.
        let is_single = ["last-modified", "etag"].iter().any(|single| name.eq_ignore_ascii_case(single));
        let operation = if is_single { EditOperation::Set } else { EditOperation::Append };
        changes.push(Change { operation, name: name.as_str().into(), value });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests;
