//! `POST /tunnels/revoke`: closing tunnels by the subject or a tag of their grants.

use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::hook::{Closing, is_close_code};
use crate::proxy::Proxy;
use crate::tunnel::Label;

/// The longest reason of a close frame, bytes (RFC 6455 §5.5).
const LONGEST_REASON: usize = 123;
/// What is told where the question does not say whom.
const USAGE: &str =
    "say `subject=NAME` or `tag=NAME`, and `code=` and `reason=` if they are to be others than 1008 and none";

/// What a question asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    labels: Vec<Label>,
    closing: Closing,
}

/// Do it. The status, and a JSON object or what is wrong.
pub(super) fn answer(proxy: &Proxy, method: &Method, headers: &HeaderMap, query: &str) -> (StatusCode, String) {
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "only POST\n".to_owned());
    }
    // A browser says so where a page of another site asks, and this is for no page at all.
    if headers.contains_key(http::header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "not for pages\n".to_owned());
    }
    match wish(query) {
        Ok(Wish { labels, closing }) => {
            let closed: usize = labels.iter().map(|label| proxy.tunnels.revoke(label, &closing)).sum();
            tracing::info!(?labels, code = closing.code, closed, "tunnels revoked");
            (StatusCode::OK, format!("{}\n", json!({ "closed": closed })))
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

fn wish(query: &str) -> Result<Wish, String> {
    let mut wish = Wish { labels: Vec::new(), closing: Closing { code: 1008, reason: String::new() } };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| format!("`{name}` is not percent-encoded UTF-8"))?;
        match name {
            "subject" | "tag" if value.is_empty() => return Err(format!("`{name}` is empty")),
            "subject" => wish.labels.push(Label::Subject(value.into())),
            "tag" => wish.labels.push(Label::Tag(value.into())),
            "code" => {
                let code = value.parse().ok().filter(|code| is_close_code(*code));
                wish.closing.code = code.ok_or_else(|| format!("{value:?} cannot stand in a close frame"))?;
            }
            "reason" if value.len() > LONGEST_REASON => {
                return Err(format!("a reason has at most {LONGEST_REASON} bytes"));
            }
            "reason" => wish.closing.reason = value,
            _ => return Err(format!("what is `{name}`? {USAGE}")),
        }
    }
    if wish.labels.is_empty() { Err(USAGE.to_owned()) } else { Ok(wish) }
}

/// A value of a query as browsers and curl write it.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'%', high, low, tail @ ..] => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = tail;
            }
            [b'%', ..] => return None,
            [byte, tail @ ..] => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let made = wish("subject=ann%40example.com&tag=a+b&code=4001&reason=bye%21").unwrap();
        assert_eq!(made.labels, [Label::Subject("ann@example.com".into()), Label::Tag("a b".into())]);
        assert_eq!(made.closing, Closing { code: 4001, reason: "bye!".into() });
        assert_eq!(wish("tag=x").unwrap().closing, Closing { code: 1008, reason: String::new() });
        let long = format!("tag=x&reason={}", "y".repeat(124));
        for bad in ["", "code=1000", "subject=", "tag=%zz", "tag=%f", "tag=%ff", "tag=a&code=1005", "who=x", &long] {
            wish(bad).unwrap_err();
        }
    }
}
