//! Which headers an origin gets: pure logic, by the Fetch standard's CORS protocol.

use serde::Deserialize;
use tidegate_origins::Origins;
use tidegate_plugin::{ConfigError, Edit};

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const EXPOSE_HEADERS: &str = "Access-Control-Expose-Headers";
const MAX_AGE: &str = "Access-Control-Max-Age";

/// What a preflight's answer depends on.
const VARY_PREFLIGHT: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Origins, `https://*.example.com`, `~re`, `~*re`, `null`, or `*` for every one.
    pub origins: Vec<String>,
    /// Methods, or `*` for all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Request headers, or `*` for all.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Response headers, or `*` for all.
    #[serde(default)]
    pub expose: Vec<String>,
    /// How long a preflight's answer may be kept, in seconds; none leaves it to the browser.
    #[serde(default)]
    pub max_age: Option<u64>,
    /// Whether cookies and passwords may be used.
    #[serde(default)]
    pub credentials: bool,
}

/// What a preflight asks for.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Vec<u8>,
    /// The headers, comma-separated.
    pub headers: Option<Vec<u8>>,
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    origins: Origins,
    /// None for all: what is asked for is allowed.
    methods: Option<String>,
    headers: Option<String>,
    expose: String,
    max_age: Option<String>,
    credentials: bool,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first entry that is wrong, or that lets any page act for the user.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let origins = Origins::new(&config.origins);
        let origins = origins.map_err(|(index, what)| ConfigError::new(format!("/origins/{index}"), what))?;
        if config.credentials {
            let unsafe_origin = config.origins.iter().position(|origin| matches!(origin.as_str(), "*" | "null"));
            if let Some(index) = unsafe_origin {
                let what = "does not go with `credentials`: any page could act for the user";
                return Err(ConfigError::new(format!("/origins/{index}"), what));
            }
            // With credentials `*` is the name of a header.
            if let Some(index) = config.expose.iter().position(|name| name == "*") {
                return Err(ConfigError::new(format!("/expose/{index}"), "`*` does not go with `credentials`"));
            }
        }
        for (key, list) in [("methods", &config.methods), ("headers", &config.headers), ("expose", &config.expose)] {
            if let Some(index) = list.iter().position(|name| !is_token(name)) {
                return Err(ConfigError::new(format!("/{key}/{index}"), "is not a name"));
            }
        }
        let list = |names: &[String]| (!names.iter().any(|name| name == "*")).then(|| names.join(", "));
        Ok(Self {
            origins,
            methods: list(&config.methods),
            headers: list(&config.headers),
            expose: config.expose.join(", "),
            max_age: config.max_age.map(|seconds| seconds.to_string()),
            credentials: config.credentials,
        })
    }

    /// The header lines of a preflight's answer. An origin that is not allowed gets none that
    /// allow anything.
    pub fn preflight(&self, origin: Vec<u8>, asked: &Asked) -> Vec<(&'static str, Vec<u8>)> {
        let mut lines = vec![("Vary", VARY_PREFLIGHT.into())];
        if !self.origins.contain(origin.clone()) {
            return lines;
        }
        self.allow(&mut lines, origin);
        let mut put = |name, value: Vec<u8>| {
            if !value.is_empty() {
                lines.push((name, value));
            }
        };
        put(
            ALLOW_METHODS,
            self.methods.as_ref().map_or_else(|| asked.method.clone(), |list| list.clone().into_bytes()),
        );
        let mirrored = || asked.headers.clone().unwrap_or_default();
        put(ALLOW_HEADERS, self.headers.as_ref().map_or_else(mirrored, |list| list.clone().into_bytes()));
        put(MAX_AGE, self.max_age.clone().unwrap_or_default().into_bytes());
        lines
    }

    /// What to change in a response to a request with this Origin, whose Vary lines are these.
    /// What the upstream says of CORS itself does not count.
    pub fn edits(&self, origin: Option<Vec<u8>>, vary: &[Vec<u8>]) -> Vec<Edit> {
        let mut edits = Vec::new();
        // The same answer for every origin depends on none.
        if !(self.origins.is_every() || names_origin(vary)) {
            edits.push(Edit::append("Vary", "Origin"));
        }
        let mut lines = Vec::new();
        if let Some(origin) = origin.filter(|origin| self.origins.contain(origin.clone())) {
            self.allow(&mut lines, origin);
            if !self.expose.is_empty() {
                lines.push((EXPOSE_HEADERS, self.expose.clone().into_bytes()));
            }
        }
        for name in [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS] {
            edits.push(match lines.iter().find(|(line, _)| *line == name) {
                Some((name, value)) => Edit::set(*name, value.clone()),
                None => Edit::remove(name),
            });
        }
        edits
    }

    /// What lets an allowed origin read.
    fn allow(&self, lines: &mut Vec<(&'static str, Vec<u8>)>, origin: Vec<u8>) {
        lines.push((ALLOW_ORIGIN, if self.origins.is_every() { b"*".to_vec() } else { origin }));
        if self.credentials {
            lines.push((ALLOW_CREDENTIALS, b"true".to_vec()));
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether Vary names Origin, or everything.
fn names_origin(vary: &[Vec<u8>]) -> bool {
    let names = vary.iter().flat_map(|line| line.split(|byte| *byte == b','));
    names.map(<[u8]>::trim_ascii).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

#[cfg(test)]
mod tests;
