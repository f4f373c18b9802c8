//! What a listener offers: versions, cipher suites, groups, resumption.

use std::sync::Arc;
use std::time::Duration;

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use crate::tls::{Version, provider};

/// What a listener offers to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// At least one. nginx: `ssl_protocols`.
    pub versions: Vec<Version>,
    /// IANA names in order of preference; empty for the provider's own. nginx: `ssl_ciphers`,
    /// `ssl_conf_command Ciphersuites`.
    pub ciphers: Vec<String>,
    /// Names of groups in order of preference; empty for the default with the post-quantum one
    /// first. nginx: `ssl_ecdh_curve`.
    pub curves: Vec<String>,
    /// Whether the proxy's order of cipher suites counts and not the client's. nginx:
    /// `ssl_prefer_server_ciphers`.
    pub prefer_server_ciphers: bool,
    /// Whether sessions are resumed by tickets, whose key changes every six hours. nginx:
    /// `ssl_session_tickets`.
    pub session_tickets: bool,
    /// How many sessions are kept for resumption without tickets; 0 for none. nginx: `ssl_session_cache`.
    pub session_cache: usize,
    /// How long a session can be resumed by one ticket, or without tickets. nginx: `ssl_session_timeout`.
    pub session_timeout: Duration,
    /// How long a handshake may take. nginx: `client_header_timeout`.
    pub handshake_timeout: Duration,
    /// Handshakes that each worker has under way at once; none for no limit.
    pub max_handshakes: Option<u32>,
    /// How often files of certificates are looked at for changes.
    pub renew: Duration,
    /// Application protocols that are offered, in order of preference (RFC 7301).
    pub alpn: Vec<&'static str>,
    /// Whether the same is offered over QUIC, where the version is 1.3 and the protocol `h3`.
    pub quic: bool,
}

/// What is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// No cipher suite of that name.
    #[error("no cipher suite \"{0}\"")]
    Cipher(String),
    /// No group of that name.
    #[error("no curve \"{0}\"")]
    Curve(String),
    /// No suite is left for a version that is offered.
    #[error("no cipher suite is left for TLS {0}")]
    NoCipher(&'static str),
}

impl Settings {
    /// The names of all cipher suites.
    pub fn all_ciphers() -> impl Iterator<Item = String> {
        ALL_CIPHER_SUITES.iter().map(cipher_name)
    }

    /// The names of all groups.
    pub fn all_curves() -> impl Iterator<Item = String> {
        ALL_KX_GROUPS.iter().map(|group| curve_name(*group))
    }

    /// A provider that has what is offered.
    ///
    /// # Errors
    /// Names that are none.
    pub(super) fn provider(&self) -> Result<Arc<CryptoProvider>, BadSettings> {
        let mut provider = CryptoProvider::clone(&provider());
        if !self.ciphers.is_empty() {
            let find = |name: &String| cipher(name).ok_or_else(|| BadSettings::Cipher(name.clone()));
            provider.cipher_suites = self.ciphers.iter().map(find).collect::<Result<_, _>>()?;
        }
        if !self.curves.is_empty() {
            let find = |name: &String| curve(name).ok_or_else(|| BadSettings::Curve(name.clone()));
            provider.kx_groups = self.curves.iter().map(find).collect::<Result<_, _>>()?;
        }
        for version in &self.versions {
            if !provider.cipher_suites.iter().any(|suite| suite.version() == version.supported()) {
                return Err(BadSettings::NoCipher(version.number()));
            }
        }
        Ok(Arc::new(provider))
    }

    /// Everything that cannot be offered: names that are none, or else a version without a
    /// cipher suite.
    pub fn problems(&self) -> Vec<BadSettings> {
        let ciphers = self.ciphers.iter().filter(|name| cipher(name).is_none()).cloned().map(BadSettings::Cipher);
        let curves = self.curves.iter().filter(|name| curve(name).is_none()).cloned().map(BadSettings::Curve);
        let problems: Vec<_> = ciphers.chain(curves).collect();
        if problems.is_empty() { self.provider().err().into_iter().collect() } else { problems }
    }
}

/// The IANA name: rustls calls those of 1.3 `TLS13_…`.
pub(super) fn cipher_name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

fn cipher(name: &str) -> Option<SupportedCipherSuite> {
    ALL_CIPHER_SUITES.iter().find(|suite| cipher_name(suite).eq_ignore_ascii_case(name)).copied()
}

fn curve(name: &str) -> Option<&'static dyn SupportedKxGroup> {
    ALL_KX_GROUPS.iter().find(|group| is_curve(&curve_name(**group), name)).copied()
}

fn curve_name(group: &dyn SupportedKxGroup) -> String {
    group.name().as_str().unwrap_or_default().to_owned()
}

/// OpenSSL, whose names nginx takes, calls P-256 `prime256v1` too.
fn is_curve(ours: &str, name: &str) -> bool {
    let also = match ours {
        "secp256r1" => ["prime256v1", "P-256"],
        "secp384r1" => ["P-384", "secp384r1"],
        _ => ["", ""],
    };
    ours.eq_ignore_ascii_case(name) || also.iter().any(|also| also.eq_ignore_ascii_case(name) && !name.is_empty())
}
