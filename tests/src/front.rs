//! What stands in front of a backend and is spoken to in its place: TLS, or a Unix socket.
//! Bytes pass both ways as they come, ends too.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certified;

/// A front that runs; ends when dropped. To be dropped before its backend.
#[derive(Debug)]
pub struct Front {
    address: Option<SocketAddr>,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    handshakes: Mutex<Vec<Result<Handshake, String>>>,
    whole: AtomicUsize,
    cut: AtomicUsize,
}

/// A TLS handshake that went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// Whether it was TLS 1.3.
    pub is_13: bool,
    /// The name that was asked for (SNI).
    pub name: Option<String>,
    /// What was agreed on to speak (ALPN).
    pub protocol: Option<String>,
    /// Whether it went on with an older session.
    pub resumed: bool,
    /// Whether the client showed a certificate.
    pub client: bool,
}

/// How a TLS front is.
#[derive(Debug, Clone)]
#[must_use]
pub struct TlsFront<'a> {
    certified: &'a Certified,
    versions: &'static [&'static SupportedProtocolVersion],
    protocols: &'static [&'static str],
    clients: Option<String>,
}

/// TLS with this certificate; both versions, HTTP/1.1, any client.
pub fn tls(certified: &Certified) -> TlsFront<'_> {
    TlsFront { certified, versions: rustls::ALL_VERSIONS, protocols: &["http/1.1"], clients: None }
}

/// TLS 1.2 alone.
pub const ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

impl TlsFront<'_> {
    /// Other versions.
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Other protocols (ALPN), most wanted first; none for a server that knows no ALPN.
    pub fn protocols(mut self, protocols: &'static [&'static str]) -> Self {
        self.protocols = protocols;
        self
    }

    /// Clients must have a certificate that this authority signed.
    pub fn clients_of(mut self, authority: &str) -> Self {
        self.clients = Some(authority.to_owned());
        self
    }

    /// Stand in front of a backend.
    pub fn before(self, backend: SocketAddr) -> Front {
        let acceptor = TlsAcceptor::from(Arc::new(self.config()));
        let (listener, address) = bind();
        Front::start(Some(address), move |seen| async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(tls) => {
                            seen.handshakes.lock().push(Ok(handshake(tls.get_ref().1)));
                            pass(tls, backend, &seen).await;
                        }
                        Err(error) => seen.handshakes.lock().push(Err(error.to_string())),
                    }
                });
            }
        })
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(self.versions).expect("versions");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate"))
                    .expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.certified.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_slice(self.certified.key.as_bytes()).expect("a key");
        let mut config = builder.with_single_cert(chain, key).expect("a certificate with its key");
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// A Unix socket at this path, in front of a backend.
pub fn unix(path: &Path, backend: SocketAddr) -> Front {
    let listener = std::os::unix::net::UnixListener::bind(path).expect("a Unix socket");
    listener.set_nonblocking(true).expect("a listener that does not block");
    Front::start(None, move |seen| async move {
        let listener = UnixListener::from_std(listener).expect("a listener");
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let seen = Arc::clone(&seen);
            tokio::spawn(async move { pass(stream, backend, &seen).await });
        }
    })
}

fn bind() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for a front");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let address = listener.local_addr().expect("the front's address");
    (listener, address)
}

fn handshake(connection: &rustls::ServerConnection) -> Handshake {
    Handshake {
        is_13: connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
        name: connection.server_name().map(str::to_owned),
        protocol: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client: connection.peer_certificates().is_some(),
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, backend: SocketAddr, seen: &Seen) {
    let Ok(mut server) = TcpStream::connect(backend).await else { return };
    server.set_nodelay(true).expect("TCP_NODELAY");
    match copy_bidirectional(&mut client, &mut server).await {
        Ok(_) => seen.whole.fetch_add(1, Ordering::SeqCst),
        Err(_cut) => seen.cut.fetch_add(1, Ordering::SeqCst),
    };
}

impl Front {
    fn start<F: Future<Output = ()>>(
        address: Option<SocketAddr>,
        serve: impl FnOnce(Arc<Seen>) -> F + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&seen);
        let thread = spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(theirs) => {}
                }
            });
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens, where that is not a Unix socket.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.address.expect("not a Unix socket")
    }

    /// The TLS handshakes that there were, those that failed too, with the reason.
    pub fn handshakes(&self) -> Vec<Result<Handshake, String>> {
        self.seen.handshakes.lock().clone()
    }

    /// How many connections have ended in order: with TLS, not without close_notify.
    pub fn whole(&self) -> usize {
        self.seen.whole.load(Ordering::SeqCst)
    }

    /// How many have ended otherwise.
    pub fn cut(&self) -> usize {
        self.seen.cut.load(Ordering::SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(cause)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(cause);
        }
    }
}
