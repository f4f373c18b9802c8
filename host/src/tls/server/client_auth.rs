//! Certificates of clients: whose are believed, and whether one must be shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::identity::{BadIdentity, chain};
use crate::tls::{pem, provider};

/// Whether a client must show a certificate. nginx: `ssl_verify_client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It may; one that is shown must be good.
    Optional,
    /// It must.
    Required,
}

/// What holds for certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientAuth {
    /// Whether one must be shown.
    pub mode: Mode,
    /// PEM of those who may issue them. nginx: `ssl_client_certificate`.
    pub ca: PathBuf,
    /// PEM of revocation lists. nginx: `ssl_crl`.
    pub crl: Option<PathBuf>,
}

impl ClientAuth {
    /// What judges clients' certificates.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, BadIdentity> {
        let malformed = |path: &Path, why: String| BadIdentity::Unusable { path: path.to_owned(), why };
        let mut roots = RootCertStore::empty();
        for root in chain(&self.ca)? {
            roots.add(root).map_err(|e| malformed(&self.ca, e.to_string()))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        if let Some(path) = &self.crl {
            let lists = pem::revocation_lists(path).map_err(|error| BadIdentity::unreadable(path, error))?;
            // As nginx, which asks for a list of every issuer in the chain: what nobody can say to
            // be good is not let in.
            builder = builder.with_crls(lists);
        }
        if self.mode == Mode::Optional {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|e| malformed(self.crl.as_deref().unwrap_or(&self.ca), e.to_string()))
    }
}
