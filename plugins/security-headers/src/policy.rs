//! Which lines an answer lacks: pure logic.

use serde::Deserialize;
use tidegate_header_lines::{SECURITY, STRICT_TRANSPORT, check_name, check_value, sound};
use tidegate_plugin::{ConfigError, Edit, EditOperation, Template};

/// The configuration. Without any key it is what the guides of nginx recommend:
/// [`SECURITY`], and over TLS [`STRICT_TRANSPORT`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names and templates, appended where the answer has no line of that name; an empty value
    /// adds nothing.
    #[serde(default)]
    pub headers: Option<Vec<(String, String)>>,
    /// The same for clients that came over TLS alone (RFC 6797 §7.2).
    #[serde(default)]
    pub over_tls: Option<Vec<(String, String)>>,
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    lines: Vec<Line>,
}

/// A line that an answer gets where it has none of its name.
#[derive(Debug)]
struct Line {
    name: Box<str>,
    value: Template,
    over_tls: bool,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let (headers, over_tls) = match (config.headers, config.over_tls) {
            (None, None) => (SECURITY.map(owned).to_vec(), vec![owned(STRICT_TRANSPORT)]),
            (headers, over_tls) => (headers.unwrap_or_default(), over_tls.unwrap_or_default()),
        };
        let mut lines = lines(&headers, "headers", false)?;
        lines.extend(self::lines(&over_tls, "over_tls", true)?);
        Ok(Self { lines })
    }

    /// The lines that the answer lacks. `has` knows what it has, `variable` what the host knows.
    pub fn edits(&self, has: impl Fn(&str) -> bool, variable: impl Fn(&str) -> Option<String>) -> Vec<Edit> {
        let mut edits = Vec::with_capacity(self.lines.len());
        let has_tls = self.lines.iter().any(|line| line.over_tls) && variable("scheme").as_deref() == Some("https");
        for line in &self.lines {
            if (line.over_tls && !has_tls) || has(&line.name) {
                continue;
            }
            let value = sound(line.value.value(&variable));
            if !value.is_empty() {
                edits.push(Edit { operation: EditOperation::Append, name: line.name.to_string(), value });
            }
        }
        edits
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The lines of one list.
fn lines(pairs: &[(String, String)], key: &str, over_tls: bool) -> Result<Vec<Line>, ConfigError> {
    let mut lines = Vec::with_capacity(pairs.len());
    for (index, (name, value)) in pairs.iter().enumerate() {
        let at = |place: usize, what| ConfigError::new(format!("/{key}/{index}/{place}"), what);
        check_name(name).map_err(|what| at(0, what))?;
        check_value(value).map_err(|what| at(1, what))?;
        let value = Template::parse(value).map_err(|what| at(1, what))?;
        lines.push(Line { name: name.as_str().into(), value, over_tls });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
