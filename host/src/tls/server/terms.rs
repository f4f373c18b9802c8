//! What holds for one server name: identities, and what is asked of clients.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache,
    StoresServerSessions, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;

use super::quic::ALPN;
use super::sessions::Timed;
use super::{BadIdentity, BadSettings, ClientAuth, Identity, Settings, Verifier};

/// What is wanted for one server name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Identities, by preference; none refuses every handshake (nginx: `ssl_reject_handshake`).
    pub identities: Vec<Identity>,
    /// What is asked of clients; none asks nothing.
    pub client_auth: Option<Arc<ClientAuth>>,
}

/// What holds for one server name, ready for rustls.
#[derive(Debug)]
pub struct Terms {
    pub(super) config: Arc<ServerConfig>,
    /// The same for QUIC, where that is spoken.
    pub(super) quic: Option<Arc<ServerConfig>>,
    identities: Arc<Identities>,
    /// What is asked of clients.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// Who judges what they show.
    pub(super) verifier: Option<Arc<Verifier>>,
}

/// Why there are no terms.
#[derive(Debug, thiserror::Error)]
pub enum BadTerms {
    /// Files.
    #[error(transparent)]
    Files(#[from] BadIdentity),
    /// Settings.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What rustls refuses.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

impl Wanted {
    /// Whether another differs only in what files hold now, so that sessions stay good.
    pub(super) fn is_renewed_by(&self, other: &Self) -> bool {
        let files = |wanted: &Self| wanted.identities.iter().map(|identity| identity.files.clone()).collect::<Vec<_>>();
        self.client_auth == other.client_auth && files(self) == files(other)
    }
}

impl Terms {
    /// Make ready what is wanted. Sessions of `kin` can be resumed.
    ///
    /// # Errors
    /// Files that are none, settings that do not fit.
    pub(super) fn new(wanted: &Wanted, settings: &Settings, kin: Option<&Self>) -> Result<Self, BadTerms> {
        let provider = settings.provider()?;
        let versions: Vec<_> = settings.versions.iter().map(|version| version.supported()).collect();
        let verifier = wanted.client_auth.as_ref().map(|auth| auth.verifier()).transpose()?;
        let judging = match &verifier {
            Some(verifier) => Arc::clone(verifier) as Arc<dyn ClientCertVerifier>,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let identities = Arc::new(Identities(ArcSwap::from_pointee(wanted.identities.clone())));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)?
            .with_client_cert_verifier(judging)
            .with_cert_resolver(Arc::clone(&identities) as Arc<dyn ResolvesServerCert>);
        config.ignore_client_order = settings.prefer_server_ciphers;
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // What was proved to one name must not count for another, so each has its own.
        config.session_storage = match (settings.session_cache, kin) {
            (0, _) => Arc::new(NoServerSessionStorage {}),
            (_, Some(kin)) => Arc::clone(&kin.config.session_storage),
            (most, None) => Arc::new(Timed::<dyn StoresServerSessions>::new(
                ServerSessionMemoryCache::new(most),
                settings.session_timeout,
            )),
        };
        if settings.session_tickets {
            config.ticketer = match kin {
                Some(kin) => Arc::clone(&kin.config.ticketer),
                None => Arc::new(Timed::<dyn ProducesTickets>::new(Ticketer::new()?, settings.session_timeout)),
            };
        } else if settings.session_cache == 0 {
            config.send_tls13_tickets = 0;
        }
        let quic = settings.quic.then(|| {
            let mut quic = config.clone();
            quic.alpn_protocols = vec![ALPN.to_vec()];
            // RFC 9001 §4.6.1: 0 is without 0-RTT.
            quic.max_early_data_size = 0;
            Arc::new(quic)
        });
        Ok(Self { config: Arc::new(config), quic, identities, client_auth: wanted.client_auth.clone(), verifier })
    }

    /// Serve these from now on. Connections that are open stay as they are.
    pub fn renew(&self, identities: Vec<Identity>) {
        self.identities.0.store(Arc::new(identities));
    }

    /// What is served now.
    pub fn identities(&self) -> Arc<Vec<Identity>> {
        self.identities.0.load_full()
    }
}

/// The identities of one server name; replaced where their files change.
#[derive(Debug)]
struct Identities(ArcSwap<Vec<Identity>>);

impl ResolvesServerCert for Identities {
    /// The first whose key can sign in a way that the client understands.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identities = self.0.load();
        let mut served = identities.iter().filter_map(|identity| Some(identity.served()?.key())).peekable();
        let first = served.peek().cloned();
        served.find(|served| served.key.choose_scheme(hello.signature_schemes()).is_some()).or(first)
    }
}
