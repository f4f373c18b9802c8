//! Certificates and keys out of PEM files (RFC 7468).

use std::io;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// Why a file gives no certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It is not PEM.
    #[error("is not PEM: {0}")]
    Pem(pem::Error),
    /// The key is encrypted.
    #[error("has an encrypted key, and nobody to ask for its pass phrase: decrypt it with `openssl pkey`")]
    Encrypted,
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

/// Every revocation list of a file.
///
/// # Errors
/// Where it cannot be read, is not PEM, or has none.
pub(super) fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Unreadable> {
    let text = std::fs::read(path).map_err(Unreadable::Io)?;
    let found = CertificateRevocationListDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(Unreadable::Nothing("revocation list")) } else { Ok(found) }
}

/// In the head of a key that is encrypted, in either of the two ways.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The first private key of a file: PKCS #8, PKCS #1 or SEC1, not encrypted.
///
/// # Errors
/// Where it cannot be read, is not PEM, or has no key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unreadable> {
    let text = std::fs::read(path).map_err(Unreadable::Io)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Err(_) if text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) => Err(Unreadable::Encrypted),
        Err(pem::Error::NoItemsFound) => Err(Unreadable::Nothing("private key")),
        read => Ok(read?),
    }
}
