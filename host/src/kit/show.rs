//! What plugins answer, as JSON: what cases are compared with, and what their authors are shown.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use crate::hook::{
    AccessTerms, Content, Decision, FieldEdit, HookFailure, Interest, Judgement, LocalReply, Outgoing, Subscription,
    Target, Verdict, Way,
};
use crate::message::{FieldName, FieldValue};

/// Bytes: as text where they are, otherwise `{ hex = "…" }`.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

/// The bytes of such a value; none where it is neither.
pub(super) fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Object(object) => unhex(object.get("hex")?.as_str()?),
        _ => None,
    }
}

/// Bytes from hexadecimal digits, with spaces where one likes; none where it is not that.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u32]| pair.iter().fold(0, |sum, digit| sum << 4 | digit);
    digits.chunks(2).map(|pair| u8::try_from(byte(pair)).ok()).collect()
}

/// A kind of answer with nothing more to say.
pub(super) fn kind(kind: &str) -> Value {
    json!({ kind: {} })
}

pub(super) fn failure(failure: &HookFailure) -> Value {
    json!({ "failure": { "kind": failure.kind.code(), "detail": failure.detail } })
}

pub(super) fn routed(answer: Result<Option<Target>, LocalReply>) -> Value {
    match answer {
        Ok(None) => kind("next"),
        Ok(Some(target)) => json!({ "route": {
            "name": target.route,
            "upstream": target.upstream,
            "path": target.path_with_query,
            "variables": variables(&target.variables),
        } }),
        Err(reply) => json!({ "reply": local(&reply) }),
    }
}

pub(super) fn decision(decision: &Decision) -> Value {
    match decision {
        Decision::Next => kind("next"),
        Decision::Allow => kind("allow"),
        Decision::Deny(reply) => json!({ "deny": local(reply) }),
    }
}

pub(super) fn verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Next => kind("next"),
        Verdict::Grant(grant) => {
            let access = grant.terms.as_ref().map(|terms| access(terms));
            json!({ "grant": { "variables": variables(&grant.variables), "edits": edits(&grant.edits), "access": access } })
        }
        Verdict::Deny(reply) => json!({ "deny": local(reply) }),
    }
}

/// What a grant binds a tunnel to; times in seconds since 1970, and milliseconds.
fn access(terms: &AccessTerms) -> Value {
    let expires = terms.expires.and_then(|end| end.duration_since(UNIX_EPOCH).ok()).map(|end| end.as_secs());
    json!({
        "subject": terms.subject,
        "tags": terms.tags,
        "expires": expires,
        "lifetime_ms": terms.lifetime.and_then(|time| u64::try_from(time.as_millis()).ok()),
        "max_message": terms.max_message,
    })
}

pub(super) fn edited(answer: &Result<Vec<FieldEdit>, LocalReply>) -> Value {
    match answer {
        Ok(list) => json!({ "edits": edits(list) }),
        Err(reply) => json!({ "reply": local(reply) }),
    }
}

pub(super) fn opened(subscription: Option<Subscription>) -> Value {
    let Some(Subscription { interest, first }) = subscription else { return kind("none") };
    json!({ "sees": kinds(interest), "first": first })
}

pub(super) fn judgement(judgement: &Judgement, asked: Content) -> Value {
    match judgement {
        Judgement::Pass => kind("pass"),
        Judgement::Drop => kind("drop"),
        Judgement::Replace(data) => json!({ "replace": content(asked, data) }),
        Judgement::Inject { messages, pass } => {
            json!({ "inject": messages.iter().map(outgoing).collect::<Vec<_>>(), "pass": pass })
        }
        Judgement::Close(closing) => json!({ "close": { "code": closing.code, "reason": closing.reason } }),
    }
}

fn outgoing(message: &Outgoing) -> Value {
    let to = match message.way {
        Way::Up => "upstream",
        Way::Down => "client",
    };
    let key = if message.content == Content::Text { "text" } else { "hex" };
    let shown = content(message.content, &message.data);
    json!({ "to": to, key: shown.get("hex").unwrap_or(&shown) })
}

fn content(content: Content, data: &[u8]) -> Value {
    match content {
        Content::Text => bytes(data),
        Content::Binary => json!({ "hex": data.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

fn kinds(interest: Interest) -> Vec<&'static str> {
    let all = [
        (Way::Up, Content::Text, "text-to-upstream"),
        (Way::Up, Content::Binary, "binary-to-upstream"),
        (Way::Down, Content::Text, "text-to-client"),
        (Way::Down, Content::Binary, "binary-to-client"),
    ];
    all.into_iter().filter(|(way, content, _)| interest.has(*way, *content)).map(|(.., name)| name).collect()
}

fn local(reply: &LocalReply) -> Value {
    let lines = reply.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    json!({ "status": reply.status.as_u16(), "headers": headers(lines), "body": bytes(&reply.body) })
}

/// Header lines by name in lower case: a value, or a list of them where there are several.
pub(super) fn headers<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Value {
    let mut table = Map::new();
    for (name, value) in lines {
        let value = bytes(value);
        match table.get_mut(&name.to_ascii_lowercase()) {
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = json!([one.take(), value]),
            None => {
                table.insert(name.to_ascii_lowercase(), value);
            }
        }
    }
    Value::Object(table)
}

fn variables(variables: &[(String, String)]) -> Value {
    Value::Object(variables.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

fn edits(edits: &[FieldEdit]) -> Value {
    let with = |what: &str, name: &FieldName, value: &FieldValue| {
        let (name, value) = (name.as_str().to_ascii_lowercase(), String::from_utf8_lossy(value.as_bytes()));
        format!("{what} {name}: {value}")
    };
    let line = |edit: &FieldEdit| match edit {
        FieldEdit::Set(name, value) => with("set", name, value),
        FieldEdit::Append(name, value) => with("append", name, value),
        FieldEdit::SetDefault(name, value) => with("default", name, value),
        FieldEdit::Remove(name) => format!("remove {}", name.as_str().to_ascii_lowercase()),
    };
    edits.iter().map(line).collect()
}
