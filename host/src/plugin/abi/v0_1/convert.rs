//! Between the guest's values and the core's. What a guest answers is checked here, so that
//! no later code meets a header that cannot be, or one that only the host may write.

use http::StatusCode;

use super::bindings::exports::tidegate::plugin as wit;
use super::bindings::tidegate::plugin::types;
use crate::hook::{
    Decision, FRAMING, FieldEdit, Grant, LocalReply, PeerFacts, Summary, Target, Verdict, is_hosts_own, is_one_of,
};
use crate::message::{FieldName, FieldValue};

type Checked<T> = Result<T, String>;

fn name(text: String) -> Checked<FieldName> {
    FieldName::new(text).map_err(|error| error.to_string())
}

fn value(name: &FieldName, bytes: Vec<u8>) -> Checked<FieldValue> {
    FieldValue::new(bytes).map_err(|error| format!("the value of `{name}`: {error}"))
}

/// A header line.
pub(super) fn field(raw: types::Field) -> Checked<(FieldName, FieldValue)> {
    let name = name(raw.name)?;
    let value = value(&name, raw.value)?;
    Ok((name, value))
}

fn edit(edit: types::FieldEdit) -> Checked<FieldEdit> {
    let name = name(edit.name)?;
    if is_hosts_own(name.as_str()) {
        return Err(format!("`{name}` is the host's: a plugin cannot change it"));
    }
    if edit.operation == types::EditOperation::Remove {
        return Ok(FieldEdit::Remove(name));
    }
    let value = value(&name, edit.value)?;
    Ok(match edit.operation {
        types::EditOperation::Set => FieldEdit::Set(name, value),
        types::EditOperation::Append => FieldEdit::Append(name, value),
        types::EditOperation::SetDefault => FieldEdit::SetDefault(name, value),
        types::EditOperation::Remove => FieldEdit::Remove(name),
    })
}

pub(super) fn edits(list: Vec<types::FieldEdit>) -> Checked<Vec<FieldEdit>> {
    list.into_iter().map(edit).collect()
}

pub(super) fn reply(reply: types::LocalReply) -> Checked<LocalReply> {
    let status = StatusCode::from_u16(reply.status).ok().filter(|s| (200..600).contains(&s.as_u16()));
    let status = status.ok_or_else(|| format!("{} is not a status from 200 to 599", reply.status))?;
    let line = |raw: types::Field| {
        let (name, value) = field(raw)?;
        if is_one_of(&FRAMING, name.as_str()) {
            return Err(format!("`{name}` in a reply is the host's to add"));
        }
        Ok((name, value))
    };
    let fields = reply.fields.into_iter().map(line).collect::<Checked<_>>()?;
    Ok(LocalReply { status, fields, body: reply.body.into() })
}

fn variables(list: Vec<types::Variable>) -> Checked<Vec<(String, String)>> {
    let checked = |variable: types::Variable| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if variable.name.is_empty() || !variable.name.bytes().all(good) {
            return Err(format!("{:?} is not a variable's name: ASCII letters, digits and `_`", variable.name));
        }
        Ok((variable.name, variable.value))
    };
    list.into_iter().map(checked).collect()
}

/// Hook `router`.
pub(in crate::plugin) fn route(
    raw: Result<Option<wit::router::Target>, types::LocalReply>,
) -> Checked<Result<Option<Target>, LocalReply>> {
    match raw {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(raw)) => target(raw).map(|t| Ok(Some(t))),
        Err(raw) => reply(raw).map(Err),
    }
}

fn target(raw: wit::router::Target) -> Checked<Target> {
    if let Some(path) = &raw.path_with_query {
        // It becomes the request line for the upstream: a space or a line end in it would
        // be another request (RFC 9112 §3.2).
        let plain = path.starts_with('/') && path.bytes().all(|b| b > b' ' && b != b'#' && b != 0x7f);
        if !plain {
            return Err(format!("{path:?} is not a path and query: it begins with `/` and is percent-encoded"));
        }
    }
    let variables = variables(raw.variables)?;
    Ok(Target { route: raw.route, upstream: raw.upstream, path_with_query: raw.path_with_query, variables })
}

/// Hook `origin`.
pub(in crate::plugin) fn decision(raw: types::Decision) -> Checked<Decision> {
    match raw {
        types::Decision::Next => Ok(Decision::Next),
        types::Decision::Allow => Ok(Decision::Allow),
        types::Decision::Deny(raw) => reply(raw).map(Decision::Deny),
    }
}

/// Hook `authorizer`.
pub(in crate::plugin) fn verdict(raw: wit::authorizer::Verdict) -> Checked<Verdict> {
    match raw {
        wit::authorizer::Verdict::Next => Ok(Verdict::Next),
        wit::authorizer::Verdict::Grant(raw) => {
            // What it binds the tunnel to was said beside it.
            Ok(Verdict::Grant(Grant { variables: variables(raw.variables)?, edits: edits(raw.edits)?, terms: None }))
        }
        wit::authorizer::Verdict::Deny(raw) => reply(raw).map(Verdict::Deny),
    }
}

/// Hooks `request-headers` and `response-headers`.
pub(in crate::plugin) fn edits_or_reply(
    raw: Result<Vec<types::FieldEdit>, types::LocalReply>,
) -> Checked<Result<Vec<FieldEdit>, LocalReply>> {
    match raw {
        Ok(raw) => edits(raw).map(Ok),
        Err(raw) => reply(raw).map(Err),
    }
}

/// What hook `access-log` is told.
pub(in crate::plugin) fn summary(summary: &Summary) -> wit::access_log::Summary {
    wit::access_log::Summary {
        status: summary.status,
        upstream: summary.upstream.as_deref().map(str::to_owned),
        tunnel: summary.tunnel,
        cause: summary.cause.to_owned(),
        duration_us: summary.duration_us,
        bytes_in: summary.bytes_in,
        bytes_out: summary.bytes_out,
    }
}

/// A peer for hook `balancer`.
pub(in crate::plugin) fn peer(peer: PeerFacts) -> wit::balancer::Peer {
    let tag = |(name, value)| wit::balancer::Tag { name, value };
    wit::balancer::Peer {
        id: peer.id,
        name: peer.name.as_ref().to_owned(),
        address: peer.address,
        weight: peer.weight,
        backup: peer.backup,
        tags: peer.tags.into_iter().map(tag).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{FRAMING, HANDSHAKE};

    fn raw_edit(operation: types::EditOperation, name: &str, value: &[u8]) -> types::FieldEdit {
        types::FieldEdit { operation, name: name.into(), value: value.into() }
    }

    fn raw_reply(status: u16, fields: &[(&str, &str)]) -> types::LocalReply {
        let field = |(name, value): &(&str, &str)| types::Field { name: (*name).into(), value: (*value).into() };
        types::LocalReply { status, fields: fields.iter().map(field).collect(), body: b"no".to_vec() }
    }

    #[test]
    fn edits_keep_their_order_and_case() {
        use types::EditOperation::{Append, Remove, Set, SetDefault};
        let raw = [
            raw_edit(Set, "X-A", b"1"),
            raw_edit(Append, "x-b", b"\xff"),
            raw_edit(SetDefault, "x-c", b""),
            raw_edit(Remove, "x-d", b""),
        ];
        let name = |name: &str| FieldName::new(name).unwrap();
        let value = |value: &[u8]| FieldValue::new(value).unwrap();
        assert_eq!(
            edits(raw.into()).unwrap(),
            [
                FieldEdit::Set(name("x-a"), value(b"1")),
                FieldEdit::Append(name("x-b"), value(b"\xff")),
                FieldEdit::SetDefault(name("x-c"), value(b"")),
                FieldEdit::Remove(name("x-d")),
            ]
        );
    }

    #[test]
    fn no_edit_touches_framing_or_handshake() {
        for name in FRAMING.iter().chain(&HANDSHAKE) {
            for operation in [
                types::EditOperation::Set,
                types::EditOperation::Append,
                types::EditOperation::SetDefault,
                types::EditOperation::Remove,
            ] {
                let upper = raw_edit(operation, &name.to_uppercase(), b"x");
                assert!(edit(upper).unwrap_err().contains("is the host's"), "{name}");
            }
        }
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        use types::EditOperation::Set;
        for name in ["", "a b", "a:b", "ä", "a\r\nb"] {
            assert!(edit(raw_edit(Set, name, b"x")).unwrap_err().contains("invalid HTTP header name"), "{name:?}");
        }
        for value in [&b"a\r\nb: c"[..], b"\0", b"\x7f", b"a\nb"] {
            assert!(edit(raw_edit(Set, "x", value)).unwrap_err().contains("value of `x`"), "{value:?}");
        }
    }

    #[test]
    fn replies_have_a_final_status_and_no_framing() {
        for status in [0, 99, 100, 101, 199, 600, 999, 1000] {
            assert!(reply(raw_reply(status, &[])).unwrap_err().contains("200 to 599"), "{status}");
        }
        for name in FRAMING {
            assert!(reply(raw_reply(403, &[(name, "1")])).is_err(), "{name}");
        }
        let version = reply(raw_reply(426, &[("Sec-WebSocket-Version", "13"), ("a", "1"), ("a", "2")])).unwrap();
        assert_eq!((version.status.as_u16(), version.fields.len(), &version.body[..]), (426, 3, &b"no"[..]));
    }

    #[test]
    fn a_target_cannot_smuggle_a_request() {
        let at = |path: &str| {
            let raw = wit::router::Target {
                route: "r".into(),
                upstream: None,
                path_with_query: Some(path.into()),
                variables: vec![],
            };
            target(raw).map(|t| t.path_with_query.unwrap())
        };
        assert_eq!(at("/a%20b?x=1&y").unwrap(), "/a%20b?x=1&y");
        for path in ["", "a", "*", "http://x/", "/a b", "/a\r\nHost: x", "/a\0", "/a#b", "/\u{7f}"] {
            assert!(at(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn variables_have_names() {
        let one = |name: &str| variables(vec![types::Variable { name: name.into(), value: "v".into() }]);
        assert_eq!(one("remote_user").unwrap(), [("remote_user".to_owned(), "v".to_owned())]);
        for name in ["", "a-b", "$a", "ä"] {
            assert!(one(name).is_err(), "{name:?}");
        }
    }
}
