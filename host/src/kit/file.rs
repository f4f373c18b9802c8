//! Files of cases: TOML, or JSON of the same shape.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fakes::HttpAnswer;
use super::peers::Peer;
use super::request::{RequestPart, ResponsePart};
use super::stores::Contents;

/// Why a file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct BadFile {
    file: String,
    what: String,
}

/// A file of cases. What it says outside of a case holds for each that says nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The component, relative to the file.
    pub(super) component: Option<String>,
    /// The plugin's configuration.
    #[serde(default)]
    pub(super) config: Map<String, Value>,
    /// The longest that a call may take, as in the proxy's configuration.
    pub(super) deadline: Option<String>,
    /// The most memory of an instance, as in the proxy's configuration.
    pub(super) memory: Option<String>,
    /// Who shares an instance, as in the proxy's configuration: `worker` (the default) or `request`.
    pub(super) isolation: Option<String>,
    /// The time at which the plugin's clocks stand; without it they run.
    pub(super) clock: Option<Clock>,
    /// What its requests are answered with; without it, it is granted no destination.
    pub(super) http: Option<Vec<HttpAnswer>>,
    /// The stores that it is granted, and what they begin with.
    pub(super) kv: Option<Contents>,
    /// The secrets that it is granted.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    /// Its environment.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// The request that those of cases are laid over.
    #[serde(default)]
    pub(super) request: RequestPart,
    /// The cases.
    #[serde(rename = "case", default)]
    pub(super) cases: Vec<Case>,
}

/// A time.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Clock {
    /// Seconds since 1970.
    Unix(u64),
    /// RFC 3339: `2026-01-31T12:00:00Z`.
    Text(String),
}

/// One case: an instance of its own, and what it is asked, step by step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// In place of the file's.
    pub(super) config: Option<Map<String, Value>>,
    pub(super) clock: Option<Clock>,
    pub(super) http: Option<Vec<HttpAnswer>>,
    pub(super) kv: Option<Contents>,
    /// In place of the one step that the keys below describe; they then hold for each step that says
    /// nothing else.
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    hook: Option<String>,
    #[serde(default)]
    request: RequestPart,
    #[serde(default)]
    response: ResponsePart,
    peers: Option<Vec<Peer>>,
    tried: Option<Vec<String>>,
    #[serde(default)]
    messages: Vec<Said>,
    event: Option<Event>,
    #[serde(default)]
    summary: SummaryPart,
    expect: Option<Value>,
}

/// One call, or the messages of tunnels.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) hook: Option<String>,
    #[serde(default)]
    pub(super) request: RequestPart,
    #[serde(default)]
    pub(super) response: ResponsePart,
    pub(super) peers: Option<Vec<Peer>>,
    /// Names of peers that were tried already.
    pub(super) tried: Option<Vec<String>>,
    #[serde(default)]
    pub(super) messages: Vec<Said>,
    /// Which function of hook `tunnel`.
    pub(super) event: Option<Event>,
    #[serde(default)]
    pub(super) summary: SummaryPart,
    /// How far the clock goes on before it.
    pub(super) wait: Option<String>,
    pub(super) expect: Option<Value>,
}

/// A message of a tunnel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) from: Side,
    pub(super) text: Option<String>,
    /// Of a binary message.
    pub(super) hex: Option<String>,
    /// Which tunnel, where there are several in one case; each opens when it is first named.
    #[serde(default)]
    pub(super) tunnel: u64,
    pub(super) expect: Option<Value>,
}

/// Who sends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Client,
    Upstream,
}

/// What happened to a tunnel.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    Open,
    Close,
}

/// How an exchange or tunnel went.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SummaryPart {
    pub(super) status: Option<u16>,
    pub(super) upstream: Option<String>,
    pub(super) tunnel: bool,
    pub(super) cause: Option<String>,
    pub(super) duration_us: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) close_code: Option<u16>,
    pub(super) messages_in: Option<u64>,
    pub(super) messages_out: Option<u64>,
}

impl Case {
    /// What is asked, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let own = Step {
            hook: self.hook.clone(),
            request: self.request.clone(),
            response: self.response.clone(),
            peers: self.peers.clone(),
            tried: self.tried.clone(),
            messages: self.messages.clone(),
            event: self.event,
            summary: self.summary.clone(),
            wait: None,
            expect: self.expect.clone(),
        };
        if self.steps.is_empty() {
            return vec![own];
        }
        let over = |step: &Step| Step {
            hook: step.hook.clone().or_else(|| own.hook.clone()),
            request: own.request.under(&step.request),
            response: own.response.under(&step.response),
            peers: step.peers.clone().or_else(|| own.peers.clone()),
            tried: step.tried.clone().or_else(|| own.tried.clone()),
            event: step.event.or(own.event),
            expect: step.expect.clone().or_else(|| own.expect.clone()),
            ..step.clone()
        };
        self.steps.iter().map(over).collect()
    }
}

impl Cases {
    /// The names of its cases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|case| case.name.as_str())
    }
}

/// Read a file of cases.
///
/// # Errors
/// Where it cannot be read, with line and column of what is wrong in it.
pub fn read(file: &Path) -> Result<Cases, BadFile> {
    let bad = |what: String| BadFile { file: file.display().to_string(), what };
    let text = std::fs::read_to_string(file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let cases: Cases = if is_json {
        serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?
    } else {
        toml::from_str(&text).map_err(|error| bad(error.to_string()))?
    };
    if cases.cases.is_empty() {
        return Err(bad("there is no `[[case]]` in it".to_owned()));
    }
    for (number, case) in cases.cases.iter().enumerate() {
        if cases.cases.iter().take(number).any(|other| other.name == case.name) {
            return Err(bad(format!("two cases are called `{}`", case.name)));
        }
        check(case).map_err(|what| bad(format!("case `{}`: {what}", case.name)))?;
    }
    Ok(cases)
}

/// A case that expects nothing could not fail.
fn check(case: &Case) -> Result<(), String> {
    if !case.steps.is_empty() && !case.messages.is_empty() {
        return Err("`messages` belong into its `steps`".to_owned());
    }
    for step in case.steps() {
        if step.expect.is_none() && step.messages.iter().all(|message| message.expect.is_none()) {
            return Err("it has a step without `expect`".to_owned());
        }
        if let Some(message) = step.messages.iter().find(|message| message.text.is_some() == message.hex.is_some()) {
            return Err(format!("a message has either `text` or `hex`: {message:?}"));
        }
    }
    Ok(())
}
