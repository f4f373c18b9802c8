//! TLS: what operators give for it (PEM files, versions), and rustls made ready for it.
//!
//! rustls with aws-lc-rs; no process-wide default is needed or set.

mod client;
mod pem;
pub mod server;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{SupportedProtocolVersion, version};

pub use client::{Alpn, Client, ClientSettings, Identity, Roots, Unusable};
pub use pem::{Unreadable, certificates, private_key};
pub use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    /// As it is written: `1.2`.
    pub fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    /// The version of this name: `1.2` or `1.3`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == name)
    }

    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &version::TLS12,
            Self::Tls13 => &version::TLS13,
        }
    }
}

/// Whose code computes.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}
