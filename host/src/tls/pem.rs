//! Certificates and keys out of PEM files (RFC 7468).

use std::io;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file gives no certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It is not PEM.
    #[error("is not PEM: {0}")]
    Pem(pem::Error),
    /// It has none.
    #[error("has no {0} in it")]
    Nothing(&'static str),
}

impl From<pem::Error> for Unreadable {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::Io(error) => Self::Io(error),
            error => Self::Pem(error),
        }
    }
}

/// Every certificate of a file, in order.
///
/// # Errors
/// Where it cannot be read, is not PEM, or has no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    let text = std::fs::read(path).map_err(Unreadable::Io)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(Unreadable::Nothing("certificate")) } else { Ok(found) }
}

/// The first private key of a file: PKCS #8, PKCS #1 or SEC1, not encrypted.
///
/// # Errors
/// Where it cannot be read, is not PEM, or has no key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unreadable> {
    let text = std::fs::read(path).map_err(Unreadable::Io)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Err(pem::Error::NoItemsFound) => Err(Unreadable::Nothing("private key")),
        read => Ok(read?),
    }
}
