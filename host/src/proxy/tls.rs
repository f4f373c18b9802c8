//! What TLS brought to light, for phases and variables. nginx: `$ssl_…`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::variables::put;
use crate::error::{Error, Kind};
use crate::hook::View;
use crate::snapshot::Route;
use crate::tls::server::{ClientFacts, Facts};

/// Whether the connection may be used for the site of the route: what the site asks of clients
/// must have been asked on it. A client that shook hands for one name may send another's in Host.
///
/// # Errors
/// [`Kind::Misdirected`].
pub(super) fn check(view: &View, route: &Route) -> Result<(), Error> {
    let Some(wanted) = &route.client_auth else { return Ok(()) };
    let facts = view.arrival.tls.as_ref();
    if facts.and_then(|facts| facts.client_auth.as_ref()) == Some(wanted) {
        return Ok(());
    }
    Err(Error::new(Kind::Misdirected, "the handshake was not for a name that asks for this site's certificates"))
}

/// The variable `ssl_NAME` of a TLS connection; false where there is none.
pub(super) fn variable(facts: &Facts, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "protocol" => put(out, facts.protocol),
        "cipher" => put(out, &facts.cipher),
        "curve" => put(out, &facts.curve),
        "server_name" => put(out, facts.server_name.as_deref().unwrap_or_default()),
        "alpn_protocol" => put(out, facts.alpn.as_deref().unwrap_or_default()),
        "session_reused" => put(out, if facts.resumed { "r" } else { "." }),
        // rustls does not tell it; with tickets, nginx's is none that the client knows either.
        "session_id" => {}
        "client_verify" => match facts.client.as_ref().map(|client| &client.fault) {
            None => put(out, "NONE"),
            Some(None) => put(out, "SUCCESS"),
            Some(Some(fault)) => put(out, &format!("FAILED:{fault}")),
        },
        _ => return name.strip_prefix("client_").is_some_and(|name| of_client(facts.client.as_ref(), name, out)),
    }
    true
}

/// As nginx, all empty where no certificate was shown.
fn of_client(client: Option<&ClientFacts>, name: &str, out: &mut Vec<u8>) -> bool {
    let text = |get: fn(&ClientFacts) -> &str| client.map(get).unwrap_or_default();
    match name {
        "s_dn" => put(out, text(|client| &client.subject)),
        "i_dn" => put(out, text(|client| &client.issuer)),
        "serial" => put(out, text(|client| &client.serial)),
        "fingerprint" => put(out, text(|client| &client.fingerprint)),
        "v_start" => put(out, text(|client| &client.not_before)),
        "v_end" => put(out, text(|client| &client.not_after)),
        "v_remain" => put(out, &client.map(days_left).unwrap_or_default()),
        "raw_cert" => put(out, &client.map(|client| pem(client, "\n")).unwrap_or_default()),
        // The form that a header can carry.
        "cert" => put(out, client.map(|client| pem(client, "\n\t")).unwrap_or_default().trim_end()),
        "escaped_cert" => put(out, &client.map(|client| escaped(&pem(client, "\n"))).unwrap_or_default()),
        _ => return false,
    }
    true
}

fn days_left(client: &ClientFacts) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let left = client.expires.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    (left.max(0) / 86_400).to_string()
}

/// The certificate in PEM, its lines ended by `end`.
fn pem(client: &ClientFacts, end: &str) -> String {
    /// RFC 7468 §2
    const LINE: usize = 64;
    let text = STANDARD.encode(&client.der);
    let mut pem = format!("-----BEGIN CERTIFICATE-----{end}");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push_str(end);
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----");
    pem.push_str(end);
    pem
}

/// As `encodeURIComponent` does it.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ok = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(facts: &Facts, name: &str) -> Option<String> {
        let mut out = Vec::new();
        variable(facts, name, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_certificate_in_three_forms() {
        let client = ClientFacts { der: vec![0xfb; 60], serial: "0A".to_owned(), ..ClientFacts::default() };
        let facts = Facts { client: Some(client), ..Facts::default() };
        let (first, second) = ("+/v7".repeat(16), "+/v7".repeat(4));
        let raw = format!("-----BEGIN CERTIFICATE-----\n{first}\n{second}\n-----END CERTIFICATE-----\n");
        assert_eq!(value(&facts, "client_raw_cert"), Some(raw.clone()));
        let tabs = raw.trim_end().replace('\n', "\n\t");
        assert_eq!(value(&facts, "client_cert"), Some(tabs));
        let escaped = value(&facts, "client_escaped_cert").unwrap();
        assert!(escaped.starts_with("-----BEGIN%20CERTIFICATE-----%0A%2B%2Fv7"), "{escaped}");
        assert_eq!(value(&facts, "client_serial").as_deref(), Some("0A"));
        assert_eq!(value(&facts, "client_verify").as_deref(), Some("SUCCESS"));
        assert_eq!(value(&facts, "client_v_remain").as_deref(), Some("0"));
    }

    #[test]
    fn without_a_certificate() {
        let facts = Facts { protocol: "TLSv1.3", resumed: true, ..Facts::default() };
        for (name, expected) in [
            ("protocol", Some("TLSv1.3")),
            ("session_reused", Some("r")),
            ("client_verify", Some("NONE")),
            ("client_s_dn", Some("")),
            ("client_nonsense", None),
            ("nonsense", None),
        ] {
            assert_eq!(value(&facts, name).as_deref(), expected, "{name}");
        }
    }
}
