//! The configuration, as it is written.

use serde::Deserialize;

/// The configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For what clients send; none for no checks.
    #[serde(default)]
    pub to_upstream: Option<Checks>,
    /// For what the upstream sends; none for no checks.
    #[serde(default)]
    pub to_client: Option<Checks>,
}

/// What messages of one way may be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Which kinds there may be; both where it is not there.
    #[serde(default)]
    pub kinds: Option<Vec<Kind>>,
    /// The most bytes of a message, inflated; none for no limit but the route's.
    #[serde(default)]
    pub max_size: Option<u32>,
    /// How many there may be.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Whether each has to be a JSON text (RFC 8259).
    #[serde(default)]
    pub json: bool,
    /// A JSON Schema that each has to satisfy; see [`crate::schema`] for what is understood.
    #[serde(default)]
    pub schema: Option<serde_json::Value>,
    /// Regular expressions of which none may match somewhere in a message.
    #[serde(default)]
    pub deny: Vec<String>,
    /// What becomes of a message that a check refuses.
    #[serde(default)]
    pub actions: Actions,
}

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// How many messages of a tunnel may go one way.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Messages per second; none for no limit.
    #[serde(default)]
    pub messages: Option<f64>,
    /// How many may come at once; as many as in a second where it is not there, and at least 1.
    #[serde(default)]
    pub burst: Option<f64>,
    /// Bytes per second; none for no limit.
    #[serde(default)]
    pub bytes: Option<f64>,
    /// How many bytes may come at once; as many as in a second where it is not there.
    #[serde(default)]
    pub burst_bytes: Option<f64>,
}

/// What becomes of messages, by the check that refuses them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    /// Of a kind that is not allowed; default: close with 1003.
    #[serde(default)]
    pub kind: Option<Action>,
    /// Too large; default: close with 1009.
    #[serde(default)]
    pub size: Option<Action>,
    /// Too many; default: close with 1008.
    #[serde(default)]
    pub rate: Option<Action>,
    /// No JSON; default: close with 1007.
    #[serde(default)]
    pub json: Option<Action>,
    /// Not as the schema wants it; default: close with 1008.
    #[serde(default)]
    pub schema: Option<Action>,
    /// With something that is denied; default: close with 1008.
    #[serde(default)]
    pub deny: Option<Action>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// It does not go on.
    Drop,
    /// The tunnel ends.
    Close {
        /// 1000 to 1003, 1007 to 1014, or 3000 to 4999.
        code: u16,
        /// At most 123 bytes.
        #[serde(default)]
        reason: String,
    },
    /// This goes on in its place.
    Replace(String),
    /// It goes on with this in the place of each match; for `deny` alone.
    Mask(String),
}

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `kinds`
    Kind,
    /// `max_size`
    Size,
    /// `rate`
    Rate,
    /// `json`, and the JSON of `schema`
    Json,
    /// `schema`
    Schema,
    /// `deny`
    Deny,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Kind, Self::Size, Self::Rate, Self::Json, Self::Schema, Self::Deny];

    /// Its key among `actions`, and its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Size => "size",
            Self::Rate => "rate",
            Self::Json => "json",
            Self::Schema => "schema",
            Self::Deny => "deny",
        }
    }

    /// What becomes of a message where the configuration does not say.
    pub fn usual(self) -> Action {
        let (code, reason) = match self {
            Self::Kind => (1003, "messages of this kind are not taken"),
            Self::Size => (1009, "the message is too large"),
            Self::Rate => (1008, "too many messages"),
            Self::Json => (1007, "not JSON"),
            Self::Schema => (1008, "not as it should be"),
            Self::Deny => (1008, "not allowed"),
        };
        Action::Close { code, reason: reason.to_owned() }
    }

    /// What the configuration says.
    pub(crate) fn action(self, actions: &Actions) -> Option<&Action> {
        match self {
            Self::Kind => actions.kind.as_ref(),
            Self::Size => actions.size.as_ref(),
            Self::Rate => actions.rate.as_ref(),
            Self::Json => actions.json.as_ref(),
            Self::Schema => actions.schema.as_ref(),
            Self::Deny => actions.deny.as_ref(),
        }
    }
}
