//! Leaving HTTP: what the client asks for, and whether the peer's 101 answers it.
//!
//! RFC 9110 §7.8 (Upgrade) and RFC 6455 §4 (the WebSocket handshake).

use http::{Method, Version};

use crate::error::{Error, Kind};
use crate::hook::View;
use crate::message::{Fields, WEBSOCKET, accept_for};

/// Whether and how a client wants to leave HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// It does not, or in a way that may be ignored (RFC 9110 §7.8).
    None,
    /// A valid WebSocket handshake, whose 101 must carry this Sec-WebSocket-Accept.
    WebSocket(String),
    /// To another protocol: the tokens as sent.
    Other(Vec<String>),
}

/// What the client asks for.
///
/// # Errors
/// [`Kind::Handshake`] or [`Kind::HandshakeVersion`] where it asks for a WebSocket in a way
/// that RFC 6455 §4.2.1 forbids.
pub(super) fn wish(view: &View) -> Result<Upgrade, Error> {
    let headers = &view.headers;
    // RFC 9110 §7.8: without the connection option, or in HTTP/1.0, Upgrade must be ignored.
    // HTTP/2 and HTTP/3 have neither; what looks so is an extended CONNECT (`downstream/upgrade.rs`).
    if !matches!(view.version, Version::HTTP_11 | Version::HTTP_2 | Version::HTTP_3)
        || !headers.has_token("connection", "upgrade")
    {
        return Ok(Upgrade::None);
    }
    let tokens: Vec<String> = headers.tokens("upgrade").map(str::to_owned).collect();
    if tokens.is_empty() {
        return Ok(Upgrade::None);
    }
    if !tokens.iter().any(|token| token.eq_ignore_ascii_case(WEBSOCKET)) {
        return Ok(Upgrade::Other(tokens));
    }
    if view.method != Method::GET {
        return Err(Error::new(Kind::Handshake, "the method is not GET"));
    }
    match one(headers, "sec-websocket-version")? {
        b"13" => {}
        other => return Err(Error::new(Kind::HandshakeVersion, String::from_utf8_lossy(other))),
    }
    let key = one(headers, "sec-websocket-key")?;
    if !is_key(key) {
        return Err(Error::new(Kind::Handshake, "Sec-WebSocket-Key is not base64"));
    }
    Ok(Upgrade::WebSocket(accept_for(key)))
}

/// Whether the peer's 101 is the answer that was asked for.
///
/// # Errors
/// [`Kind::UnaskedSwitch`] where nothing was asked for, [`Kind::BadSwitch`] where it does not fit.
pub(super) fn check_switch(asked: &Upgrade, headers: &Fields) -> Result<(), Error> {
    let bad = |why: &str| Error::new(Kind::BadSwitch, why);
    let protocol = |wanted: &str| headers.tokens("upgrade").any(|token| token.eq_ignore_ascii_case(wanted));
    match asked {
        Upgrade::None => return Err(Kind::UnaskedSwitch.into()),
        Upgrade::WebSocket(accept) => {
            if !protocol(WEBSOCKET) {
                return Err(bad("Upgrade is not websocket"));
            }
            if one(headers, "sec-websocket-accept").ok() != Some(accept.as_bytes()) {
                return Err(bad("Sec-WebSocket-Accept does not answer the key"));
            }
        }
        Upgrade::Other(wanted) => {
            if !wanted.iter().any(|wanted| protocol(wanted)) {
                return Err(bad("Upgrade is not what was asked for"));
            }
        }
    }
    if !headers.has_token("connection", "upgrade") {
        return Err(bad("Connection has no upgrade"));
    }
    Ok(())
}

/// The Upgrade value to send to the peer: in the case in which the client wrote it, since
/// some backends compare it exactly.
pub(super) fn upgrade_value(asked: &Upgrade, headers: &Fields) -> Option<String> {
    match asked {
        Upgrade::None => None,
        Upgrade::WebSocket(_) => {
            let token = headers.tokens("upgrade").find(|t| t.eq_ignore_ascii_case(WEBSOCKET))?;
            Some(token.to_owned())
        }
        Upgrade::Other(tokens) => Some(tokens.join(", ")),
    }
}

/// Base64 characters, at least one. RFC 6455 wants 16 bytes encoded; the curl line of the
/// nginx guides sends 13, and nginx passes it, so how many they are is left to the peer.
fn is_key(key: &[u8]) -> bool {
    let digits = key.strip_suffix(b"==").or_else(|| key.strip_suffix(b"=")).unwrap_or(key);
    !digits.is_empty() && digits.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// The only value of a header.
fn one<'h>(headers: &'h Fields, name: &'h str) -> Result<&'h [u8], Error> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Error::new(Kind::Handshake, format!("{name} is missing"))),
        (Some(_), Some(_)) => Err(Error::new(Kind::Handshake, format!("{name} is there more than once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(b"SGVsbG8sIHdvcmxkIQ=="), "the guides' curl line");
        assert!(!is_key(b"") && !is_key(b"==") && !is_key(b"a b") && !is_key(b"a\r"));
    }

    fn head(lines: &[(&str, &str)]) -> Fields {
        lines.iter().copied().collect()
    }

    #[test]
    fn a_switch_must_answer_what_was_asked() {
        let asked = Upgrade::WebSocket("abc".into());
        let good = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"), ("sec-websocket-accept", "abc")];
        assert!(check_switch(&asked, &head(&good)).is_ok());
        for left_out in 0..good.len() {
            let mut lines = good.to_vec();
            lines.remove(left_out);
            assert_eq!(check_switch(&asked, &head(&lines)).unwrap_err().kind, Kind::BadSwitch, "{lines:?}");
        }
        assert_eq!(check_switch(&Upgrade::None, &head(&good)).unwrap_err().kind, Kind::UnaskedSwitch);
        let other = Upgrade::Other(vec!["foo".into()]);
        assert!(check_switch(&other, &head(&[("upgrade", "foo"), ("connection", "upgrade")])).is_ok());
        assert!(check_switch(&other, &head(&good)).is_err());
    }

    #[test]
    fn the_case_of_the_token_is_kept() {
        let headers = head(&[("upgrade", "h2c, WebSocket")]);
        let value = upgrade_value(&Upgrade::WebSocket(String::new()), &headers).unwrap();
        assert_eq!(value, "WebSocket");
    }
}
