//! TLS on the client's side: one certificate that all subjects show, and clients that speak
//! version 1.3 with the same cipher and the same key exchange to each of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::error::{BenchError, Context as _, Result};
use crate::ws::HOST;

/// The certificate's file.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
/// Its key's file.
pub(crate) const KEY: &str = "key.pem";

/// What a client needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// Make a certificate (ECDSA, P-256) for [`HOST`] and write it and its key to a directory.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).map_err(|e| wrong(&e))?;
        for (name, text) in [(CERTIFICATE, made.cert.pem()), (KEY, made.signing_key.serialize_pem())] {
            fs::write(directory.join(name), text).during(format!("write {name}"))?;
        }
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).map_err(|e| wrong(&e))?;
        Ok(Self { roots: Arc::new(roots) })
    }

    /// A client; one that resumes keeps its sessions for itself.
    pub(crate) fn client(&self, resumes: bool) -> Result<Client> {
        // What both offer: OpenSSL 3.0 has no post-quantum key exchange.
        let provider = CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| wrong(&e))?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.resumption = if resumes { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
        Ok(Client { config: Arc::new(config) })
    }
}

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// The client's side of a connection, before its first byte.
    pub(crate) fn connection(&self) -> Result<ClientConnection> {
        let name = ServerName::try_from(HOST).map_err(|e| wrong(&e))?;
        ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| wrong(&e))
    }
}

/// An error of TLS, as one of the bench's.
pub(crate) fn wrong(error: &impl std::fmt::Display) -> BenchError {
    BenchError::Answer(format!("TLS: {error}"))
}
