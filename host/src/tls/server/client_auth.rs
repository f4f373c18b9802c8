//! Certificates of clients: whose are believed, and whether one must be shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::identity::{BadIdentity, chain};
use super::renew::Stamp;
use crate::tls::{pem, provider};

/// Whether a client must show a certificate. nginx: `ssl_verify_client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It may; one that is shown must be good.
    Optional,
    /// It may; one that nobody known has issued is good enough. nginx: `optional_no_ca`.
    Unchecked,
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
    /// How many certificates may stand between a client's and an issuer's. nginx:
    /// `ssl_verify_depth`.
    pub depth: usize,
}

/// Judges clients' certificates; by other files, once they change.
#[derive(Debug)]
pub struct Verifier {
    auth: ClientAuth,
    judge: ArcSwap<Judge>,
    /// Whom clients are told to show certificates of; as long as the verifier lives.
    hints: Vec<DistinguishedName>,
}

/// Judges by what files held when they were read.
#[derive(Debug)]
struct Judge {
    verifier: Arc<dyn ClientCertVerifier>,
    roots: Vec<CertificateDer<'static>>,
    stamp: Stamp,
}

/// There are too many certificates between a client's and an issuer's.
#[derive(Debug, thiserror::Error)]
#[error("certificate chain too long")]
struct TooLong;

impl ClientAuth {
    /// What judges clients' certificates.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn verifier(&self) -> Result<Arc<Verifier>, BadIdentity> {
        let judge = self.judge()?;
        let hints = judge.verifier.root_hint_subjects().to_vec();
        Ok(Arc::new(Verifier { auth: self.clone(), judge: ArcSwap::from_pointee(judge), hints }))
    }

    fn stamp(&self) -> Stamp {
        Stamp::of_paths([Some(&self.ca), self.crl.as_deref(), None])
    }

    fn judge(&self) -> Result<Judge, BadIdentity> {
        let malformed = |path: &Path, why: String| BadIdentity::Unusable { path: path.to_owned(), why };
        // Before the files are read: what is written meanwhile is then found later.
        let stamp = self.stamp();
        let roots = chain(&self.ca)?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|e| malformed(&self.ca, e.to_string()))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
        if let Some(path) = &self.crl {
            let lists = pem::revocation_lists(path).map_err(|error| BadIdentity::unreadable(path, error))?;
            // As nginx, which asks for a list of every issuer in the chain, and for one that is not
            // out of date: what nobody can say to be good is not let in.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        let verifier = builder.build();
        let verifier = verifier.map_err(|e| malformed(self.crl.as_deref().unwrap_or(&self.ca), e.to_string()))?;
        Ok(Judge { verifier, roots, stamp })
    }
}

impl Verifier {
    /// Judge by what the files hold now, if that is new and not what was `refused` last. What
    /// cannot be used is told of in the log, and what holds stays.
    pub(super) fn look(&self, refused: &mut Option<Stamp>) {
        let stamp = self.auth.stamp();
        if stamp == self.judge.load().stamp || refused.as_ref() == Some(&stamp) {
            return;
        }
        let file = self.auth.ca.display();
        match self.auth.judge() {
            Ok(judge) => {
                tracing::info!(%file, "issuers of clients' certificates, or what they revoke, were read anew");
                self.judge.store(Arc::new(judge));
            }
            Err(error) => {
                tracing::warn!(%file, %error, "what is on disk to judge clients by cannot be used; what was before stays");
                *refused = Some(stamp);
            }
        }
    }

    /// Whether it lets in who shows a certificate that is not good.
    pub(super) fn forgives(&self) -> bool {
        self.auth.mode == Mode::Unchecked
    }

    /// Why a chain that a client showed is not good; none where it is.
    pub(super) fn fault(&self, chain: &[CertificateDer<'_>]) -> Option<Error> {
        let (first, rest) = chain.split_first()?;
        self.judged(first, rest, UnixTime::now()).err()
    }

    fn judged(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judge = self.judge.load();
        let between = intermediates.iter().filter(|certificate| !judge.roots.contains(certificate)).count();
        if between > self.auth.depth {
            return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(TooLong)))));
        }
        judge.verifier.verify_client_cert(end_entity, intermediates, now)
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.auth.mode == Mode::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judged(end_entity, intermediates, now) {
            // nginx's `ngx_ssl_verify_error_optional`: of nobody known, and otherwise good.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if self.auth.mode == Mode::Unchecked => {
                Ok(ClientCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
