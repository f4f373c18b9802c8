//! A certificate chain and its key, read from files and checked against each other.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::provider;
use super::renew::Stamp;

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
    /// When the first certificate of the chain expires.
    pub expires: SystemTime,
    /// By which a change of the files is found.
    pub(super) stamp: Stamp,
}

/// Why files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not PEM, or its PEM does not hold what it says.
    #[error("{}: {why}", path.display())]
    Malformed {
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
        let expires = check_times(&files.certificate, &chain, SystemTime::now())?;
        let key = key(&files.key)?;
        let malformed = |path: &Path, why: String| BadIdentity::Malformed { path: path.to_owned(), why };
        let signing = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|e| malformed(&files.key, format!("a key that cannot be used: {e}")))?;
        let mut certified = CertifiedKey::new(chain, signing);
        certified.ocsp = files.staple.as_deref().map(read).transpose()?;
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(BadIdentity::WrongKey { key: files.key.clone(), certificate: files.certificate.clone() });
            }
            Err(error) => return Err(malformed(&files.certificate, error.to_string())),
        }
        Ok(Self { files: files.clone(), certified: Arc::new(certified), expires, stamp })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.certified.cert == other.certified.cert
    }
}

impl Eq for Identity {}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, BadIdentity> {
    std::fs::read(path).map_err(|error| BadIdentity::Read { path: path.to_owned(), error })
}

/// Every certificate of a PEM file, at least one.
///
/// # Errors
/// Where there is none, or one that is none.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let text = read(path)?;
    let malformed = |why: String| BadIdentity::Malformed { path: path.to_owned(), why };
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| malformed(format!("not PEM: {e}")))?;
    if chain.is_empty() {
        return Err(malformed("no certificate in it; PEM begins with -----BEGIN CERTIFICATE-----".to_owned()));
    }
    for (number, der) in (1..).zip(&chain) {
        X509Certificate::from_der(der).map_err(|e| malformed(format!("certificate {number} cannot be read: {e}")))?;
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, BadIdentity> {
    let text = read(path)?;
    let why = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => return Ok(key),
        Err(_) if contains(&text, b"ENCRYPTED") => {
            "the key is encrypted; there is nobody to ask for its pass phrase: decrypt it with `openssl pkey`"
                .to_owned()
        }
        Err(pem::Error::NoItemsFound) => "no private key in it".to_owned(),
        Err(error) => format!("not PEM: {error}"),
    };
    Err(BadIdentity::Malformed { path: path.to_owned(), why })
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

/// The end of the chain's common time.
fn check_times(path: &Path, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<SystemTime, BadIdentity> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    let mut expires = i64::MAX;
    for (number, der) in (1..).zip(chain) {
        // It was read before.
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { continue };
        let (from, to) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        if now < from || now > to {
            let (path, subject) = (path.to_owned(), certificate.subject().to_string());
            return Err(BadIdentity::Time { path, number, subject, expired: now > to });
        }
        expires = expires.min(to);
    }
    Ok(UNIX_EPOCH + Duration::from_secs(u64::try_from(expires).unwrap_or(0)))
}
