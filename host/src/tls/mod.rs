//! TLS: what operators give for it (PEM files, versions), and rustls made ready for it.
//!
//! rustls with aws-lc-rs; no process-wide default is needed or set.

mod client;
mod pem;

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
    /// The version of this name: `1.2` or `1.3`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "1.2" => Some(Self::Tls12),
            "1.3" => Some(Self::Tls13),
            _ => None,
        }
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
