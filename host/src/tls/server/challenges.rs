//! Handshakes by which an authority finds out whether names lead here (RFC 8737): answered with
//! a certificate that is made for it, and over then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::tls::provider;

/// What is offered by a client that looks (RFC 8737 §6.2), and by nobody else.
const ALPN: &[u8] = b"acme-tls/1";

/// The challenges that are open now, by name.
#[derive(Debug, Default)]
pub struct Challenges {
    /// How many there are, so that a handshake looks no further where there is none.
    count: AtomicUsize,
    by_name: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

/// A challenge that can be answered until this is dropped.
#[derive(Debug)]
pub struct Open {
    challenges: Arc<Challenges>,
    name: String,
}

impl Challenges {
    /// Answer the challenge of a name, whose key authorization has this SHA-256.
    ///
    /// # Errors
    /// Where no certificate can be made for the name, in words.
    pub fn open(self: &Arc<Self>, name: &str, digest: [u8; 32]) -> Result<Open, String> {
        let config = Arc::new(config(name, digest)?);
        let name = name.to_ascii_lowercase();
        if self.by_name.lock().insert(name.clone(), config).is_none() {
            self.count.fetch_add(1, Ordering::Release);
        }
        Ok(Open { challenges: Arc::clone(self), name })
    }

    /// How the handshake goes on; none where it is one like any other.
    pub(super) fn find(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        // RFC 8737 §3: it offers that protocol alone.
        let mut offered = hello.alpn()?;
        if offered.next() != Some(ALPN) || offered.next().is_some() {
            return None;
        }
        self.by_name.lock().get(&hello.server_name()?.to_ascii_lowercase()).map(Arc::clone)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.challenges.by_name.lock().remove(&self.name).is_some() {
            self.challenges.count.fetch_sub(1, Ordering::Release);
        }
    }
}

/// A server that shows a certificate of its own making with the digest in it (RFC 8737 §3).
fn config(name: &str, digest: [u8; 32]) -> Result<ServerConfig, String> {
    let made = || {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
        let key = KeyPair::generate()?;
        Ok::<_, rcgen::Error>((params.self_signed(&key)?, key))
    };
    let (certificate, key) = made().map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
    let provider = provider();
    let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    // Not `with_single_cert`: that reads the certificate, and webpki refuses the critical extension.
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.der().clone()], key));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_cert_resolver(Arc::new(shown)))
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}
