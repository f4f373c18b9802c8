//! What a token means for a request: pure logic.

use std::time::Duration;

use serde_json::Value;
use tidegate_plugin::{Edit, Grant, Reply, Verdict};

use crate::config::Settings;
use crate::jwt::{Claims, Refusal, Token};
use crate::keys::KeySet;
use crate::source::{Ambiguous, Found, Request};

/// The variable that says with which subprotocol a client is answered if the upstream chooses none.
pub const SUBPROTOCOL: &str = "auth_jwt_subprotocol";
/// Bytes of a subject or tag, and tags, that a grant may have.
const LONGEST_LABEL: usize = 256;
const MOST_TAGS: usize = 32;

/// What a grant binds a tunnel to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bonds {
    /// Who it is.
    pub subject: Option<String>,
    /// What a revocation may name besides.
    pub tags: Vec<String>,
    /// When the token ends, since 1970.
    pub ends: Option<Duration>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// It passes, bound so.
    Pass(Grant, Bonds),
    /// It does not.
    Stop(Reply),
    /// Others are asked.
    Leave,
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Pass(grant, _) => Self::Grant(grant),
            Decision::Stop(reply) => Self::Deny(reply),
            Decision::Leave => Self::Next,
        }
    }
}

/// The token of a request.
///
/// # Errors
/// The answer to a request with none, or with several.
pub fn find(settings: &Settings, request: &Request<'_>) -> Result<Found, Decision> {
    for source in &settings.sources {
        match source.find(request) {
            Ok(None) => {}
            Ok(Some(found)) => return Ok(found),
            Err(Ambiguous) => {
                let challenge = format!("{}, error=\"invalid_request\"", settings.challenge);
                return Err(Decision::Stop(Reply::new(400).header("www-authenticate", challenge).text("two tokens\n")));
            }
        }
    }
    if settings.optional {
        return Err(Decision::Leave);
    }
    // RFC 6750 §3: without a token there is no error to tell.
    let reply = Reply::new(401).header("www-authenticate", settings.challenge.as_str());
    Err(Decision::Stop(reply.text("a token is needed\n")))
}

/// The answer to a token that is refused.
pub fn refused(settings: &Settings, refusal: &Refusal) -> Decision {
    let text = refusal.text();
    let challenge = format!("{}, error=\"invalid_token\"", settings.challenge);
    Decision::Stop(Reply::new(401).header("www-authenticate", challenge).text(format!("{text}\n")))
}

/// Judge a token by these keys.
///
/// # Errors
/// Why it is refused.
pub fn judge(settings: &Settings, keys: &KeySet, found: &Found, now: Duration) -> Result<Decision, Refusal> {
    let token = Token::parse(&found.token)?;
    token.verify(keys, &settings.algorithms)?;
    let claims = token.claims()?;
    let ends = settings.rules.check(&claims, now)?;
    let bonds = bonds(settings, &claims, ends)?;
    Ok(Decision::Pass(grant(settings, &claims, found), bonds))
}

fn bonds(settings: &Settings, claims: &Claims, ends: Option<Duration>) -> Result<Bonds, Refusal> {
    let mut bonds = Bonds { ends: ends.filter(|_| settings.expire), ..Bonds::default() };
    if let Some(value) = settings.subject.as_ref().and_then(|name| claim(claims, name)) {
        bonds.subject = Some(text(value)).filter(|subject| !subject.is_empty());
    }
    for name in &settings.tags {
        let values = match claim(claims, name) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        };
        for value in values {
            let tag = format!("{name}:{}", text(value));
            if !bonds.tags.contains(&tag) {
                bonds.tags.push(tag);
            }
        }
    }
    // A tunnel that no revocation could reach is not opened.
    let good = |label: &String| label.len() <= LONGEST_LABEL && !label.chars().any(char::is_control);
    if !bonds.subject.iter().chain(&bonds.tags).all(good) {
        return Err(Refusal::Claim("has a subject or tag that is too long, or has control characters"));
    }
    if bonds.tags.len() > MOST_TAGS {
        return Err(Refusal::Claim("has more than 32 tags"));
    }
    Ok(bonds)
}

fn grant(settings: &Settings, claims: &Claims, found: &Found) -> Grant {
    let mut grant = Grant::new();
    // A subprotocol is no place to leave a token in: the upstream might choose it.
    if !settings.keep || found.subprotocol.is_some() {
        for edit in &found.edits {
            grant = grant.edit(edit.clone());
        }
    }
    for (header, name) in &settings.headers {
        // What the client says under this name must not look like the token's.
        let edit = match claim(claims, name).filter(|value| !value.is_null()) {
            Some(value) => Edit::set(header.as_str(), sound(text(value))),
            None => Edit::remove(header.as_str()),
        };
        grant = grant.edit(edit);
    }
    for (variable, name) in &settings.variables {
        grant = grant.variable(variable.as_str(), claim(claims, name).map(text).unwrap_or_default());
    }
    match &found.subprotocol {
        Some(protocol) => grant.variable(SUBPROTOCOL, protocol.as_str()),
        None => grant,
    }
}

/// A claim by its name, or by a JSON pointer where that begins with `/`.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Object(members) => members.get(&part),
        Value::Array(values) => values.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A claim as text: a list of texts with commas, and what is neither as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// A value that can stand in a header (RFC 9110 §5.5).
fn sound(value: String) -> Vec<u8> {
    let mut bytes = value.into_bytes();
    for byte in &mut bytes {
        if (*byte < b' ' && *byte != b'\t') || *byte == 0x7f {
            *byte = b' ';
        }
    }
    bytes
}
