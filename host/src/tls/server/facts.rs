//! What a handshake brought to light: for variables, logs and plugins.

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, CommonState, Error, HandshakeKind, ProtocolVersion};
use sha1::{Digest as _, Sha1};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::X509Name;

use super::settings::cipher_name;
use super::{ClientAuth, Terms};

/// The facts of one connection. nginx: the `$ssl_…` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.3`. nginx: `$ssl_protocol`.
    pub protocol: &'static str,
    /// The cipher suite's IANA name. nginx: `$ssl_cipher`, with OpenSSL's names.
    pub cipher: String,
    /// The group of the key exchange. nginx: `$ssl_curve`.
    pub curve: String,
    /// The name that the client asked for. nginx: `$ssl_server_name`.
    pub server_name: Option<String>,
    /// The application protocol. nginx: `$ssl_alpn_protocol`.
    pub alpn: Option<String>,
    /// Whether a session was resumed. nginx: `$ssl_session_reused`.
    pub resumed: bool,
    /// Of the client's certificate; none where it showed none.
    pub client: Option<ClientFacts>,
    /// What was asked of the client; none where no certificate was.
    pub client_auth: Option<Arc<ClientAuth>>,
}

/// What is known of a client by its certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// Whose it is (RFC 2253). nginx: `$ssl_client_s_dn`.
    pub subject: String,
    /// Who issued it. nginx: `$ssl_client_i_dn`.
    pub issuer: String,
    /// Its number, hexadecimal. nginx: `$ssl_client_serial`.
    pub serial: String,
    /// SHA-1 of it. nginx: `$ssl_client_fingerprint`.
    pub fingerprint: String,
    /// From when it is valid. nginx: `$ssl_client_v_start`.
    pub not_before: String,
    /// Until when. nginx: `$ssl_client_v_end`.
    pub not_after: String,
    /// Until when, seconds since 1970; days are counted when asked. nginx: `$ssl_client_v_remain`.
    pub expires: i64,
    /// Why it is not good, where it lets in all the same. nginx: `$ssl_client_verify`, after `FAILED:`.
    pub fault: Option<String>,
}

impl Facts {
    /// Those of a connection whose handshake is over.
    pub(super) fn of(connection: &CommonState, server_name: Option<&str>, terms: &Terms) -> Self {
        let chain = connection.peer_certificates().unwrap_or_default();
        // Others would not have come so far.
        let judging = terms.verifier.as_ref().filter(|verifier| verifier.forgives());
        let fault = judging.and_then(|verifier| verifier.fault(chain)).map(|error| reason(&error));
        let client = chain.first().map(|shown| ClientFacts { fault, ..ClientFacts::of(shown) });
        Self {
            protocol: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "",
            },
            cipher: connection.negotiated_cipher_suite().map(|suite| cipher_name(&suite)).unwrap_or_default(),
            curve: connection
                .negotiated_key_exchange_group()
                .and_then(|group| group.name().as_str())
                .unwrap_or_default()
                .to_owned(),
            server_name: server_name.map(str::to_owned),
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client,
            client_auth: terms.client_auth.clone(),
        }
    }
}

/// Why a certificate is not good, in few words.
fn reason(error: &Error) -> String {
    match error {
        // As OpenSSL, and so nginx, says it.
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "unable to get local issuer certificate".to_owned()
        }
        other => other.to_string(),
    }
}

impl ClientFacts {
    fn of(der: &CertificateDer<'_>) -> Self {
        // rustls has read and believed it, so this does not fail.
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Self::default() };
        let validity = certificate.validity();
        Self {
            der: der.to_vec(),
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            serial: hex(certificate.raw_serial(), true),
            fingerprint: hex(&Sha1::digest(der), false),
            not_before: time(&validity.not_before),
            not_after: time(&validity.not_after),
            expires: validity.not_after.timestamp(),
            fault: None,
        }
    }
}

/// A distinguished name as RFC 2253 writes it: the last part first, with what would be read
/// as grammar escaped.
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter().collect();
    for (number, part) in parts.into_iter().rev().enumerate() {
        for (nth, attribute) in part.iter().enumerate() {
            text.push_str(match (number, nth) {
                (0, 0) => "",
                (_, 0) => ",",
                _ => "+",
            });
            let kind = attribute.attr_type();
            match oid2abbrev(kind, oid_registry()) {
                Ok(known) => text.push_str(known),
                Err(_unknown) => text.push_str(&kind.to_id_string()),
            }
            text.push('=');
            escape(attribute.as_str().unwrap_or_default(), &mut text);
        }
    }
    text
}

fn escape(value: &str, text: &mut String) {
    for (at, character) in value.char_indices() {
        let is_edge = at == 0 || at + character.len_utf8() == value.len();
        if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || is_edge && character == ' '
            || at == 0 && character == '#'
        {
            text.push('\\');
        }
        text.push(character);
    }
}

/// As OpenSSL prints it: `Jan  2 03:04:05 2026 GMT`.
fn time(time: &x509_parser::time::ASN1Time) -> String {
    let utc = chrono::DateTime::from_timestamp(time.timestamp(), 0).unwrap_or_default();
    utc.format("%b %e %H:%M:%S %Y GMT").to_string()
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string does not fail.
        let _ok = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
    }
    text
}
