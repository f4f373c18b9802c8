//! The configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tidegate_plugin::ConfigError;

use crate::algorithm::Algorithm;
use crate::jwt::Rules;
use crate::keys::KeySet;
use crate::source::{self, Source};

/// The configuration, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The algorithms that are allowed; no other is, whatever a token or key says.
    pub algorithms: Vec<Algorithm>,
    /// A key set as JSON text.
    pub jwks: Option<String>,
    /// Where a key set is fetched, as a grant names it.
    pub jwks_url: Option<String>,
    /// How long the fetch may take, seconds.
    #[serde(default = "timeout")]
    pub jwks_timeout: u64,
    /// Keys are not fetched more often than once in so many seconds.
    #[serde(default = "floor")]
    pub jwks_floor: u64,
    /// Who must have issued tokens.
    #[serde(default)]
    pub issuer: OneOrMore,
    /// Whom they must be for.
    #[serde(default)]
    pub audience: OneOrMore,
    /// By how many seconds clocks may differ.
    #[serde(default = "leeway")]
    pub leeway: u64,
    /// Claims that must be there.
    #[serde(default = "required")]
    pub required: Vec<String>,
    /// Where tokens are, in this order.
    #[serde(default = "sources")]
    pub from: Vec<String>,
    /// Whether the upstream sees the token where it is in a header or cookie.
    #[serde(default)]
    pub keep: bool,
    /// Whether requests without a token are left to others.
    #[serde(default)]
    pub optional: bool,
    /// What the challenge says.
    #[serde(default = "realm")]
    pub realm: String,
    /// Headers for the upstream, and the claims that they get.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Variables, and the claims that they get.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The claim that is the tunnel's subject; empty for none.
    #[serde(default = "subject")]
    pub subject: String,
    /// Claims that become the tunnel's tags, as `CLAIM:VALUE`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether tunnels end with their tokens.
    #[serde(default = "yes")]
    pub expire: bool,
}

/// A text, or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// None.
    #[default]
    None,
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    fn list(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

fn timeout() -> u64 {
    5
}
fn floor() -> u64 {
    30
}
fn leeway() -> u64 {
    30
}
fn required() -> Vec<String> {
    vec!["exp".to_owned()]
}
fn sources() -> Vec<String> {
    vec!["header".to_owned()]
}
fn realm() -> String {
    "tidegate".to_owned()
}
fn subject() -> String {
    "sub".to_owned()
}
fn yes() -> bool {
    true
}

/// The configuration, checked.
#[derive(Debug)]
pub struct Settings {
    /// The algorithms that are allowed.
    pub algorithms: Vec<Algorithm>,
    /// Keys that are known for good.
    pub keys: Option<KeySet>,
    /// Those of them that cannot be used, in words.
    pub unused: Vec<String>,
    /// Where keys are fetched.
    pub url: Option<String>,
    /// How long that may take.
    pub timeout: Duration,
    /// How often at most.
    pub floor: Duration,
    /// What claims must be.
    pub rules: Rules,
    /// Where tokens are.
    pub sources: Vec<Source>,
    /// Whether the upstream sees them.
    pub keep: bool,
    /// Whether requests without one are left to others.
    pub optional: bool,
    /// The challenge, but for what is wrong.
    pub challenge: String,
    /// Headers and their claims.
    pub headers: Vec<(String, String)>,
    /// Variables and their claims.
    pub variables: Vec<(String, String)>,
    /// The claim of the subject.
    pub subject: Option<String>,
    /// The claims of tags.
    pub tags: Vec<String>,
    /// Whether tunnels end with their tokens.
    pub expire: bool,
}

impl Settings {
    /// Check a configuration.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let wrong = |key: &str, what: &str| Err(ConfigError::new(key, what.to_owned()));
        if config.algorithms.is_empty() {
            return wrong("/algorithms", "allows nothing");
        }
        let (keys, unused) = match &config.jwks {
            None => (None, Vec::new()),
            Some(text) => {
                let (keys, unused) = KeySet::parse(text.as_bytes()).map_err(|what| ConfigError::new("/jwks", what))?;
                if !keys.serves(&config.algorithms) {
                    return wrong(
                        "/jwks",
                        "no key goes with one of `algorithms` (secrets must be as long as the hash)",
                    );
                }
                (Some(keys), unused)
            }
        };
        match (&config.jwks, &config.jwks_url) {
            (None, None) => return wrong("", "needs `jwks` or `jwks_url`"),
            (Some(_), Some(_)) => return wrong("/jwks_url", "does not go with `jwks`"),
            _ => {}
        }
        if config.leeway > 300 {
            return wrong("/leeway", "must be at most 300 seconds");
        }
        if config.jwks_floor == 0 || config.jwks_timeout == 0 {
            return wrong("", "`jwks_floor` and `jwks_timeout` must be at least 1 second");
        }
        if config.from.is_empty() {
            return wrong("/from", "names no place");
        }
        if !config.realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
            return wrong("/realm", "has characters that cannot stand in a challenge");
        }
        if let Some(name) = config.headers.keys().find(|name| name.is_empty() || !name.bytes().all(source::is_token)) {
            return Err(ConfigError::new(format!("/headers/{name}"), "is not a header's name".to_owned()));
        }
        let sources = config.from.iter().enumerate().map(|(i, text)| Source::parse(text, &format!("/from/{i}")));
        Ok(Self {
            algorithms: config.algorithms,
            keys,
            unused,
            url: config.jwks_url,
            timeout: Duration::from_secs(config.jwks_timeout),
            floor: Duration::from_secs(config.jwks_floor),
            rules: Rules {
                issuers: config.issuer.list(),
                audiences: config.audience.list(),
                leeway: Duration::from_secs(config.leeway),
                required: config.required,
            },
            sources: sources.collect::<Result<_, _>>()?,
            keep: config.keep,
            optional: config.optional,
            challenge: format!("Bearer realm=\"{}\"", config.realm),
            headers: config.headers.into_iter().collect(),
            variables: config.variables.into_iter().collect(),
            subject: Some(config.subject).filter(|claim| !claim.is_empty()),
            tags: config.tags,
            expire: config.expire,
        })
    }
}
