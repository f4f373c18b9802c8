//! A certificate chain and its key, read from files and checked against each other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::renew::Stamp;
use crate::tls::{Unreadable, pem, provider};

/// Where an identity is read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    /// The chain in PEM, the server's own certificate first. nginx: `ssl_certificate`.
    pub certificate: PathBuf,
    /// The key in PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted. nginx: `ssl_certificate_key`.
    pub key: PathBuf,
    /// A DER response of the certificate's OCSP responder. nginx: `ssl_stapling_file`.
    pub staple: Option<PathBuf>,
}

/// A chain and its key, ready to be served.
#[derive(Clone)]
pub struct Identity {
    /// Where it came from.
    pub files: Files,
    /// For rustls.
    pub(super) certified: Arc<CertifiedKey>,
    /// By which a change of the files is found.
    pub(super) stamp: Stamp,
}

/// Why files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// A file gives no certificate or key.
    #[error("{} {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: Unreadable,
    },
    /// What a file holds cannot be used.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The key is another certificate's.
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    WrongKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate of the chain is not valid now.
    #[error("{}: certificate {number} of the chain ({subject}) {}", path.display(), if *expired { "has expired" } else { "is not valid yet" })]
    Time {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// Whose it is.
        subject: String,
        /// Whether its time is over.
        expired: bool,
    },
}

impl Identity {
    /// Read an identity.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: &Files) -> Result<Self, BadIdentity> {
        // Before the files are read: what is written meanwhile is then found later.
        let stamp = Stamp::of(files);
        let chain = chain(&files.certificate)?;
        check_times(&files.certificate, &chain, SystemTime::now())?;
        let key = pem::private_key(&files.key).map_err(|error| BadIdentity::unreadable(&files.key, error))?;
        let malformed = |path: &Path, why: String| BadIdentity::Unusable { path: path.to_owned(), why };
        let signing = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|e| malformed(&files.key, format!("a key that cannot be used: {e}")))?;
        let mut certified = CertifiedKey::new(chain, signing);
        certified.ocsp = match &files.staple {
            Some(path) => {
                let read = std::fs::read(path);
                Some(read.map_err(|error| BadIdentity::unreadable(path, Unreadable::Io(error)))?)
            }
            None => None,
        };
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(BadIdentity::WrongKey { key: files.key.clone(), certificate: files.certificate.clone() });
            }
            Err(error) => return Err(malformed(&files.certificate, error.to_string())),
        }
        Ok(Self { files: files.clone(), certified: Arc::new(certified), stamp })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.certified.cert == other.certified.cert
    }
}

impl Eq for Identity {}

impl BadIdentity {
    pub(super) fn unreadable(path: &Path, error: Unreadable) -> Self {
        Self::Unreadable { path: path.to_owned(), error }
    }
}

/// Every certificate of a PEM file, at least one.
///
/// # Errors
/// Where there is none, or one that is none.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let chain = pem::certificates(path).map_err(|error| BadIdentity::unreadable(path, error))?;
    for (number, der) in (1..).zip(&chain) {
        X509Certificate::from_der(der).map_err(|error| BadIdentity::Unusable {
            path: path.to_owned(),
            why: format!("certificate {number} cannot be read: {error}"),
        })?;
    }
    Ok(chain)
}

/// Whether every certificate of a chain is valid now.
fn check_times(path: &Path, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), BadIdentity> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    for (number, der) in (1..).zip(chain) {
        // It was read before.
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { continue };
        let (from, to) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        if now < from || now > to {
            let (path, subject) = (path.to_owned(), certificate.subject().to_string());
            return Err(BadIdentity::Time { path, number, subject, expired: now > to });
        }
    }
    Ok(())
}
