//! A peer in a cell: takes handshakes for tunnels in either version, and asserts what each must
//! look like.
//!
//! As with the other backends, a failed expectation in it fails the test.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, ext::Protocol};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::client::{map, read_head};
use super::lane::{Carries, Lane};
use super::{HOST, Up};
use crate::certificates::Certified;
use crate::ws;

/// A stream's first window, bytes: RFC 9113's own.
const STREAM_WINDOW: u32 = 65_535;
/// A connection's: room for streams beside one that is stuck.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// A peer; ends when it is joined or dropped.
pub struct Peer {
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    failures: Mutex<Vec<Box<dyn Any + Send>>>,
}

/// A client's wish for a tunnel.
pub struct Asking {
    /// Path and query.
    pub target: String,
    /// The lines of the request.
    pub lines: HeaderMap,
    respond: Respond,
}

enum Respond {
    Http1(Box<dyn Carries>, Vec<u8>),
    Http2(SendResponse<Bytes>, RecvStream),
}

type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Peer {
    /// Serve: `answer` answers each handshake.
    pub fn serve<F: Future<Output = ()> + Send + 'static>(
        up: Up,
        certified: &Certified,
        answer: impl Fn(Asking) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for a peer");
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().expect("the peer's address");
        let seen = Arc::new(Seen::default());
        let server = Server {
            up,
            tls: up.is_tls().then(|| acceptor(up, certified)),
            seen: Arc::clone(&seen),
            answer: Arc::new(move |asking| Box::pin(answer(asking))),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(server.run(listener, stopped));
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends back every frame.
    pub fn echo(up: Up, certified: &Certified) -> Self {
        Self::serve(up, certified, |asking| async move {
            super::echo_frames(&mut asking.accept(&[]).await).await;
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Stop, and pass on any panic.
    #[track_caller]
    pub fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        thread.join().expect("the peer's thread");
        let failure = self.seen.failures.lock().pop();
        if let Some(cause) = failure.filter(|_| !std::thread::panicking()) {
            std::panic::resume_unwind(cause);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

fn acceptor(up: Up, certified: &Certified) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.der.clone()], key)
        .expect("a certificate with its key");
    config.alpn_protocols = vec![if up.is_h2() { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Clone)]
struct Server {
    up: Up,
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
    answer: Arc<dyn Fn(Asking) -> Answering + Send + Sync>,
}

impl Server {
    async fn run(self, listener: std::net::TcpListener, mut stopped: oneshot::Receiver<()>) {
        let listener = TcpListener::from_std(listener).expect("listen");
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                accepted = listener.accept() => {
                    let (stream, _) = accepted.expect("accept");
                    stream.set_nodelay(true).unwrap();
                    self.seen.connections.fetch_add(1, Ordering::SeqCst);
                    self.watch(self.clone().connection(stream));
                }
            }
        }
    }

    /// Run a task whose panic is passed on.
    fn watch(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (task, seen) = (tokio::spawn(task), Arc::clone(&self.seen));
        tokio::spawn(async move {
            if let Err(failed) = task.await
                && failed.is_panic()
            {
                seen.failures.lock().push(failed.into_panic());
            }
        });
    }

    async fn connection(self, stream: TcpStream) {
        let mut stream: Box<dyn Carries> = match &self.tls {
            None => Box::new(stream),
            // Who leaves within the handshake is no failure of this side.
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => Box::new(stream),
                Err(_gone) => return,
            },
        };
        if self.up.is_h2() {
            return self.streams(stream).await;
        }
        let Some((head, early)) = read_head(&mut stream).await else { return };
        assert_eq!((head.method(), head.start.rsplit(' ').next()), ("GET", Some("HTTP/1.1")));
        assert!(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"), "{head:?}");
        let key = head.get("sec-websocket-key").expect("a key");
        assert!(key.len() == 24 && key.ends_with("=="), "16 bytes in base64: {key}");
        assert_eq!((head.get("sec-websocket-version"), head.get("host")), (Some("13"), Some(HOST)));
        let asking =
            Asking { target: head.target().to_owned(), lines: map(&head), respond: Respond::Http1(stream, early) };
        (self.answer)(asking).await;
    }

    async fn streams(&self, stream: Box<dyn Carries>) {
        let mut builder = Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        builder.enable_connect_protocol();
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
        while let Some(Ok((request, respond))) = connection.accept().await {
            self.check(&request);
            let (parts, recv) = request.into_parts();
            let target = parts.uri.path_and_query().expect("a path").to_string();
            let asking = Asking { target, lines: parts.headers, respond: Respond::Http2(respond, recv) };
            self.watch((self.answer)(asking));
        }
    }

    /// RFC 8441 §4 and §5.
    fn check(&self, request: &Request<RecvStream>) {
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        let scheme = if self.up.is_tls() { "https" } else { "http" };
        let uri = request.uri();
        assert_eq!((uri.scheme_str(), uri.authority().map(|a| a.as_str())), (Some(scheme), Some(HOST)));
        for name in ["upgrade", "connection", "sec-websocket-key", "host", "transfer-encoding", "content-length"] {
            assert!(!request.headers().contains_key(name), "{name} over HTTP/2");
        }
        assert_eq!(request.headers()["sec-websocket-version"], "13");
    }
}

impl Asking {
    /// A line's value; empty where it is not there.
    pub fn line(&self, name: &str) -> &str {
        self.lines.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Open the tunnel, with these lines in the answer.
    pub async fn accept(self, lines: &[(&'static str, &str)]) -> Lane {
        let key = self.line("sec-websocket-key").to_owned();
        self.accept_key(&key, lines).await
    }

    /// As [`Asking::accept`], with the answer to this key where there is one at all.
    pub async fn accept_key(self, key: &str, lines: &[(&'static str, &str)]) -> Lane {
        match self.respond {
            Respond::Http1(mut stream, early) => {
                let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                stream.write_all(ws::switching(key, &lines).as_bytes()).await.expect("send a 101");
                stream.flush().await.expect("send a 101");
                Lane::of_connection(stream, early)
            }
            Respond::Http2(mut respond, recv) => {
                let mut answer = Response::new(());
                for (name, value) in lines {
                    answer.headers_mut().append(*name, value.parse().unwrap());
                }
                Lane::of_stream(respond.send_response(answer, false).expect("send a 200"), recv)
            }
        }
    }

    /// Open none.
    pub async fn refuse(self, status: u16, lines: &[(&'static str, &str)], body: &'static str) {
        match self.respond {
            Respond::Http1(mut stream, _) => {
                let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let head = format!("HTTP/1.1 {status} Because\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await.expect("send a refusal");
                stream.shutdown().await.expect("send a refusal");
            }
            Respond::Http2(mut respond, _) => {
                let mut answer = Response::new(());
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                for (name, value) in lines {
                    answer.headers_mut().append(*name, value.parse().unwrap());
                }
                answer.headers_mut().insert("content-length", body.len().into());
                let mut send = respond.send_response(answer, false).expect("send a refusal");
                send.send_data(Bytes::from_static(body.as_bytes()), true).expect("send a refusal");
            }
        }
    }
}
