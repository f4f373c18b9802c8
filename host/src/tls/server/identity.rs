//! A certificate chain and its key, read from files and checked against each other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::renew::Stamp;
use crate::tls::{Unreadable, pem, provider};

/// Where an identity is read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    /// The chain in PEM, the server's own certificate first. nginx: `ssl_certificate`.
    pub certificate: PathBuf,
    /// The key in PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted. nginx: `ssl_certificate_key`.
    pub key: PathBuf,
    /// What is stapled.
    pub staple: Staple,
    /// Whether the files are written by this process, once a certificate was issued (ACME): until
    /// then, and where they are of no use, there is just nothing to serve yet.
    pub awaited: bool,
}

/// Which response of a certificate's OCSP responder is sent along. nginx: `ssl_stapling`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Staple {
    /// None.
    #[default]
    Off,
    /// That of a file, in DER. nginx: `ssl_stapling_file`.
    File(PathBuf),
    /// What the responder says, asked for by this process.
    Fetch(Fetch),
}

/// How a responder is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fetch {
    /// Its URL; none for the one that the certificate names. nginx: `ssl_stapling_responder`.
    pub responder: Option<String>,
    /// Whether the answer's signature is checked. nginx: `ssl_stapling_verify`.
    pub verify: bool,
}

impl Files {
    /// One file that this process writes, with the key and the chain.
    pub fn awaited(path: &Path, staple: Staple) -> Self {
        Self { certificate: path.to_owned(), key: path.to_owned(), staple, awaited: true }
    }
}

/// A chain and its key, ready to be served.
#[derive(Clone)]
pub struct Identity {
    /// Where it came from.
    pub files: Files,
    /// What is served, with what is stapled now; none where it is awaited. Shared by clones.
    pub(super) served: Option<Arc<Certified>>,
    /// By which a change of the files is found.
    pub(super) stamp: Stamp,
}

/// A chain and its key for rustls, and what the first certificate says.
pub struct Certified {
    key: ArcSwap<CertifiedKey>,
    /// What the first certificate says.
    pub leaf: Leaf,
}

/// What a server's own certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaf {
    /// The host names that it is for, in its order; its common name where it has none.
    pub names: Vec<String>,
    /// From when it is valid, seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
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
    /// Read an identity. One that is awaited is also made of files that are not there or of no
    /// use.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: &Files) -> Result<Self, BadIdentity> {
        // Before the files are read: what is written meanwhile is then found later.
        let stamp = Stamp::of(files);
        let served = match Certified::load(files) {
            Ok(served) => Some(Arc::new(served)),
            Err(_not_yet) if files.awaited => None,
            Err(error) => return Err(error),
        };
        Ok(Self { files: files.clone(), served, stamp })
    }

    /// What is served; none where it is awaited.
    pub fn served(&self) -> Option<&Arc<Certified>> {
        self.served.as_ref()
    }
}

impl Certified {
    /// Read what is served from files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: &Files) -> Result<Self, BadIdentity> {
        let chain = chain(&files.certificate)?;
        check_times(&files.certificate, &chain, SystemTime::now())?;
        let key = pem::private_key(&files.key).map_err(|error| BadIdentity::unreadable(&files.key, error))?;
        let malformed = |path: &Path, why: String| BadIdentity::Unusable { path: path.to_owned(), why };
        let signing = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|e| malformed(&files.key, format!("a key that cannot be used: {e}")))?;
        let mut certified = CertifiedKey::new(chain, signing);
        if let Staple::File(path) = &files.staple {
            let read = std::fs::read(path);
            certified.ocsp = Some(read.map_err(|error| BadIdentity::unreadable(path, Unreadable::Io(error)))?);
        }
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(BadIdentity::WrongKey { key: files.key.clone(), certificate: files.certificate.clone() });
            }
            Err(error) => return Err(malformed(&files.certificate, error.to_string())),
        }
        let leaf = certified.cert.first().map(Leaf::of).unwrap_or_default();
        Ok(Self { key: ArcSwap::from_pointee(certified), leaf })
    }

    /// For rustls.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.load_full()
    }

    /// The chain, the server's own certificate first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.key.load().cert.clone()
    }

    /// Whether something is stapled now.
    pub fn is_stapled(&self) -> bool {
        self.key.load().ocsp.is_some()
    }

    /// Staple this from now on; none staples nothing.
    pub fn staple(&self, response: Option<Vec<u8>>) {
        let now = self.key.load();
        if now.ocsp == response {
            return;
        }
        let mut key = CertifiedKey::clone(&now);
        key.ocsp = response;
        self.key.store(Arc::new(key));
    }
}

impl Leaf {
    /// What a certificate says.
    pub fn of(der: &CertificateDer<'_>) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Self::default() };
        let names = certificate.subject_alternative_name().ok().flatten();
        let host = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        };
        let mut names: Vec<String> =
            names.map(|names| names.value.general_names.iter().filter_map(host).collect()).unwrap_or_default();
        if names.is_empty() {
            let common = certificate.subject().iter_common_name().next();
            names.extend(common.and_then(|name| name.as_str().ok()).map(str::to_owned));
        }
        let validity = certificate.validity();
        Self { names, not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let chain = |identity: &Self| identity.served.as_ref().map(|served| served.chain());
        self.files == other.files && chain(self) == chain(other)
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
