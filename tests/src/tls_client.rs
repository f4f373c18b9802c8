//! A client that speaks TLS. What a test sees is a plain [`Wire`]: two threads carry its bytes
//! through a session of rustls.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup, ProtocolVersion,
    RootCertStore, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};

use crate::certificates::{Authority, Certified};
use crate::eventually::patience;
use crate::wire::Wire;

/// A client, with the sessions that it may resume.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: String,
    watching: Arc<Watching>,
}

/// Judges as rustls does, and keeps what was stapled.
#[derive(Debug)]
struct Watching {
    inner: Arc<WebPkiServerVerifier>,
    staple: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.staple.lock() = ocsp_response.to_vec();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, &[], now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What came of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The version.
    pub protocol: ProtocolVersion,
    /// The cipher suite.
    pub cipher: CipherSuite,
    /// The group of the key exchange; none where a session was resumed without.
    pub curve: Option<NamedGroup>,
    /// The application protocol.
    pub alpn: Option<Vec<u8>>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// What the server showed first.
    pub certificate: CertificateDer<'static>,
}

impl TlsClient {
    /// A client that believes this authority and asks for this name.
    pub fn new(authority: &Authority, name: &str) -> Self {
        Self::with(authority, name, &[&rustls::version::TLS12, &rustls::version::TLS13], None)
    }

    /// One of certain versions, which may show a certificate.
    pub fn with(
        authority: &Authority,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Certified>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let watching = Arc::new(Watching { inner, staple: Mutex::default() });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&watching) as Arc<dyn ServerCertVerifier>);
        let mut config = match identity {
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![identity.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(16);
        Self { config: Arc::new(config), name: name.to_owned(), watching }
    }

    /// What it does, to be changed for another client.
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// The name that it asks for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The OCSP response that came with the last full handshake; empty for none.
    pub fn staple(&self) -> Vec<u8> {
        self.watching.staple.lock().clone()
    }

    /// The same client, changed.
    #[must_use]
    pub fn changed(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(Arc::get_mut(&mut self.config).expect("a client that was not used yet"));
        self
    }

    /// The same client with these cipher suites alone.
    #[must_use]
    pub fn limited_to(self, suites: Vec<SupportedCipherSuite>) -> Self {
        let provider = CryptoProvider { cipher_suites: suites, ..CryptoProvider::clone(self.config.crypto_provider()) };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.watching) as Arc<dyn ServerCertVerifier>);
        Self { config: Arc::new(builder.with_no_client_auth()), ..self }
    }

    /// The same client, asking for another name; sessions are shared.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { config: Arc::clone(&self.config), name: name.to_owned(), watching: Arc::clone(&self.watching) }
    }

    /// Connect and shake hands.
    ///
    /// # Errors
    /// Why there is no session, in words.
    pub fn try_connect(&self, address: SocketAddr) -> Result<(Wire, Session), String> {
        self.shake(TcpStream::connect_timeout(&address, patience()).map_err(|e| e.to_string())?)
    }

    /// Shake hands over a connection that is there.
    #[track_caller]
    pub fn over(&self, tcp: TcpStream) -> Wire {
        self.shake(tcp).unwrap_or_else(|why| panic!("TLS: {why}")).0
    }

    fn shake(&self, mut tcp: TcpStream) -> Result<(Wire, Session), String> {
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(patience())).unwrap();
        let name = ServerName::try_from(self.name.clone()).unwrap();
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| e.to_string())?;
        while session.is_handshaking() {
            session.complete_io(&mut tcp).map_err(|e| e.to_string())?;
        }
        // What a server refuses of a client's certificate in TLS 1.3 comes after the handshake.
        let seen = Session {
            protocol: session.protocol_version().unwrap(),
            cipher: session.negotiated_cipher_suite().unwrap().suite(),
            curve: session.negotiated_key_exchange_group().map(|group| group.name()),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
        };
        Ok((carry(session, tcp), seen))
    }

    /// Connect and shake hands.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr) -> Wire {
        self.connect_seeing(address).0
    }

    /// Connect and shake hands; what came of it too.
    #[track_caller]
    pub fn connect_seeing(&self, address: SocketAddr) -> (Wire, Session) {
        self.try_connect(address).unwrap_or_else(|why| panic!("TLS with {address}: {why}"))
    }
}

/// A plain wire whose bytes go through the session.
fn carry(session: ClientConnection, tcp: TcpStream) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_nodelay(true).unwrap();
    tcp.set_read_timeout(None).unwrap();
    let session = Arc::new(Mutex::new(session));
    {
        let (session, tcp, far) = (Arc::clone(&session), tcp.try_clone().unwrap(), far.try_clone().unwrap());
        std::thread::spawn(move || out(&session, tcp, far));
    }
    std::thread::spawn(move || in_(&session, tcp, far));
    Wire::new(near)
}

/// From the test to the server.
fn out(session: &Mutex<ClientConnection>, mut tcp: TcpStream, mut far: TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = far.read(&mut buffer).unwrap_or(0);
        let mut session = session.lock();
        if read == 0 {
            session.send_close_notify();
        } else {
            // What the server has ended is told by the other thread.
            let _ended = session.writer().write_all(&buffer[..read]);
        }
        while session.wants_write() {
            if session.write_tls(&mut tcp).is_err() {
                let _gone = far.shutdown(Shutdown::Both);
                return;
            }
        }
        if read == 0 {
            let _gone = tcp.shutdown(Shutdown::Write);
            return;
        }
    }
}

/// From the server to the test. An end without close_notify is passed on as a reset would be:
/// the wire ends in the middle.
fn in_(session: &Mutex<ClientConnection>, mut tcp: TcpStream, mut far: TcpStream) {
    let mut cipher = vec![0; 16 << 10];
    let mut plain = vec![0; 64 << 10];
    loop {
        let read = tcp.read(&mut cipher).unwrap_or(0);
        let mut rest = &cipher[..read];
        let mut out = Vec::new();
        let mut ended = read == 0;
        {
            let mut session = session.lock();
            while !rest.is_empty() {
                if session.read_tls(&mut rest).is_err() || session.process_new_packets().is_err() {
                    ended = true;
                    break;
                }
                while let Ok(n) = session.reader().read(&mut plain) {
                    if n == 0 {
                        ended = true;
                        break;
                    }
                    out.extend_from_slice(&plain[..n]);
                }
            }
            while session.wants_write() && session.write_tls(&mut tcp).is_ok() {}
        }
        if far.write_all(&out).is_err() {
            return;
        }
        if ended {
            let _gone = far.shutdown(Shutdown::Write);
            return;
        }
    }
}
