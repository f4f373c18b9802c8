//! TLS towards peers.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::VerifierBuilderError;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use super::{Version, provider};

/// What a peer is offered to speak (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Either, HTTP/2 rather.
    Either,
    /// Nothing: what is spoken is known.
    None,
}

impl Alpn {
    /// The names, most wanted first.
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Either => &[b"h2", b"http/1.1"],
            Self::None => &[],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// Whose certificates peers must have: everyone's, or those that lead to one of these.
#[derive(Debug)]
pub enum Roots {
    /// Nobody looks. nginx: `proxy_ssl_verify off`.
    Unchecked,
    /// Certificates of authorities. nginx: `proxy_ssl_trusted_certificate`.
    Trusted(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// Those that the system trusts.
    ///
    /// # Errors
    /// Where it has none, with the reason.
    pub fn of_the_system() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!("the system has no certificates of authorities{why}"));
        }
        Ok(Self::Trusted(found.certs))
    }
}

/// Who the proxy is towards peers that ask. nginx: `proxy_ssl_certificate`,
/// `proxy_ssl_certificate_key`.
#[derive(Debug)]
pub struct Identity {
    /// Its certificate first, then those that lead to the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The first one's key.
    pub key: PrivateKeyDer<'static>,
}

/// What the operator says of TLS towards peers.
#[derive(Debug)]
pub struct ClientSettings {
    /// Whom to believe.
    pub roots: Roots,
    /// Who the proxy is; none for nobody.
    pub identity: Option<Identity>,
    /// The versions that may be spoken, at least one. nginx: `proxy_ssl_protocols`.
    pub versions: Vec<Version>,
}

/// TLS towards peers made ready, with the sessions that can be resumed. Two are equal where the
/// same settings made them.
#[derive(Clone)]
pub struct Client {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    none: Arc<ClientConfig>,
    settings: [u8; 32],
}

/// Why settings do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A certificate of an authority is none.
    #[error("cannot be trusted: {0}")]
    Roots(String),
    /// The certificate or the key, or one does not go with the other.
    #[error("cannot be used: {0}")]
    Identity(rustls::Error),
    /// Something else.
    #[error(transparent)]
    Other(#[from] rustls::Error),
}

impl Client {
    /// Make settings ready.
    ///
    /// # Errors
    /// Where a certificate is none, or the key is not the certificate's.
    pub fn new(settings: ClientSettings) -> Result<Self, Unusable> {
        let digest = digest(&settings);
        let ClientSettings { roots, identity, versions } = settings;
        let versions: Vec<_> = versions.into_iter().map(Version::supported).collect();
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&versions)?;
        let builder = match roots {
            Roots::Unchecked => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider()))),
            Roots::Trusted(certificates) => builder.with_webpki_verifier(verifier(&certificates)?),
        };
        let mut config = match identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(Unusable::Identity)?,
            None => builder.with_no_client_auth(),
        };
        // Sessions are resumed, as nginx's `proxy_ssl_session_reuse on`: rustls keeps 256 by name.
        let mut offering = |alpn: Alpn| {
            config.alpn_protocols = alpn.names();
            Arc::new(config.clone())
        };
        let (http1, http2, either) = (offering(Alpn::Http1), offering(Alpn::Http2), offering(Alpn::Either));
        Ok(Self { http1, http2, either, none: offering(Alpn::None), settings: digest })
    }

    /// What rustls needs.
    pub fn config(&self, alpn: Alpn) -> Arc<ClientConfig> {
        Arc::clone(match alpn {
            Alpn::Http1 => &self.http1,
            Alpn::Http2 => &self.http2,
            Alpn::Either => &self.either,
            Alpn::None => &self.none,
        })
    }
}

fn verifier(certificates: &[CertificateDer<'static>]) -> Result<Arc<WebPkiServerVerifier>, Unusable> {
    let mut store = RootCertStore::empty();
    // A system may have one that is too odd to be read.
    let (added, _odd) = store.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(Unusable::Roots("no certificate can be read".to_owned()));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error: VerifierBuilderError| Unusable::Roots(error.to_string()))
}

/// What tells settings apart: keys and certificates by their bytes, so that a file that was
/// replaced is noticed.
fn digest(settings: &ClientSettings) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    match &settings.roots {
        Roots::Unchecked => put(b"unchecked"),
        Roots::Trusted(certificates) => certificates.iter().for_each(|certificate| put(certificate)),
    }
    put(b"identity");
    if let Some(identity) = &settings.identity {
        identity.chain.iter().for_each(|certificate| put(certificate));
        put(identity.key.secret_der());
    }
    for version in &settings.versions {
        put(match version {
            Version::Tls12 => b"1.2",
            Version::Tls13 => b"1.3",
        });
    }
    hash.finalize().into()
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Client {}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.settings.hash(state);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the configuration: it holds a key.
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Believes everyone; that the peer has the key of what it shows is checked all the same.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(roots: Roots, versions: &[Version]) -> Result<Client, Unusable> {
        Client::new(ClientSettings { roots, identity: None, versions: versions.to_vec() })
    }

    fn certified(name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
    }

    #[test]
    fn the_same_settings_are_equal_and_others_are_not() {
        let both = [Version::Tls12, Version::Tls13];
        let one = certified("a.test").cert.der().clone();
        let trusting = |der: &CertificateDer<'static>| made(Roots::Trusted(vec![der.clone()]), &both).unwrap();
        assert_eq!(trusting(&one), trusting(&one));
        assert_ne!(trusting(&one), trusting(certified("a.test").cert.der()));
        assert_ne!(trusting(&one), made(Roots::Unchecked, &both).unwrap());
        assert_ne!(made(Roots::Unchecked, &both[..1]).unwrap(), made(Roots::Unchecked, &both[1..]).unwrap());
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let (one, other) = (certified("a.test"), certified("a.test"));
        let identity = |key: &rcgen::KeyPair| {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            Some(Identity { chain: vec![one.cert.der().clone()], key })
        };
        let with = |identity| {
            Client::new(ClientSettings { roots: Roots::Unchecked, identity, versions: vec![Version::Tls13] })
        };
        assert!(with(identity(&one.signing_key)).is_ok());
        assert!(matches!(with(identity(&other.signing_key)), Err(Unusable::Identity(_))));
    }

    #[test]
    fn what_is_no_certificate_is_not_trusted() {
        let nonsense = CertificateDer::from(b"nonsense".to_vec());
        assert!(matches!(made(Roots::Trusted(vec![nonsense]), &[Version::Tls13]), Err(Unusable::Roots(_))));
    }
}
