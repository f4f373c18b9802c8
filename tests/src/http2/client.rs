//! A client that speaks HTTP/2, made with the client of the crate `h2`.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{read_all, send_all};
use crate::eventually::patience;
use crate::tls_client::TlsClient;
use crate::ws::Frame;

/// Run a test's client; it fails after [`patience`].
pub fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(patience(), client).await.expect("the client in time") })
}

/// A connection.
#[derive(Clone)]
pub struct Client(SendRequest<Bytes>);

/// A tunnel, with what came and was not expected yet.
pub struct Tunnel {
    /// To the server.
    pub send: SendStream<Bytes>,
    /// From the server.
    pub recv: RecvStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connect with prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection")).await
    }

    /// Connect with TLS; the server must choose `h2`.
    pub async fn connect_tls(address: SocketAddr, client: &TlsClient) -> Self {
        let mut config = client.config();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from(client.name().to_owned()).unwrap();
        let stream = TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = Builder::new()
            // No stream before the server's SETTINGS: what it offers is known then.
            .initial_max_send_streams(0)
            // Room for others beside a stream that is not read.
            .initial_window_size(256 << 10)
            .initial_connection_window_size(4 << 20)
            .handshake(stream)
            .await
            .expect("HTTP/2");
        tokio::spawn(async {
            // What ends it is seen by its streams.
            let _end = connection.await;
        });
        while requests.current_max_send_streams() == 0 {
            tokio::task::yield_now().await;
        }
        Self(requests.ready().await.expect("room for a stream"))
    }

    /// A handle to begin a request with, once there is room.
    ///
    /// # Errors
    /// Where the connection is over.
    pub async fn try_ready(&self) -> Result<SendRequest<Bytes>, h2::Error> {
        self.0.clone().ready().await
    }

    /// Begin a request.
    pub async fn begin(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.0.clone().ready().await.expect("room for a stream");
        requests.send_request(request, ends).expect("a request")
    }

    /// Ask, and read the whole answer.
    pub async fn ask(&self, method: Method, uri: &str, body: &[u8]) -> (Response<()>, Vec<u8>) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (answer, mut send) = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            let body = body.to_vec();
            tokio::spawn(async move {
                if send_all(&mut send, &body).await {
                    super::end(&mut send);
                }
            });
        }
        let (parts, mut recv) = answer.await.expect("an answer").into_parts();
        (Response::from_parts(parts, ()), read_all(&mut recv).await)
    }

    /// Ask for a tunnel (RFC 8441), with these header lines.
    pub async fn connect_websocket(&self, uri: &str, lines: &[(&'static str, &'static str)]) -> (Response<()>, Tunnel) {
        assert!(self.0.is_extended_connect_protocol_enabled(), "extended CONNECT is offered");
        let mut request = Request::builder().method(Method::CONNECT).uri(uri).header("sec-websocket-version", "13");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.extension(h2::ext::Protocol::from_static("websocket")).body(()).unwrap();
        let (answer, send) = self.begin(request, false).await;
        let (parts, recv) = answer.await.expect("an answer").into_parts();
        (Response::from_parts(parts, ()), Tunnel { send, recv, buffer: Vec::new() })
    }
}

impl Tunnel {
    /// Send a frame, and read it back meanwhile.
    pub async fn echo(&mut self, frame: &Frame) {
        let (sent, expected) = (frame.masked(), frame.bytes());
        let Self { send, recv, buffer } = self;
        let (taken, ()) = tokio::join!(send_all(send, &sent), fill(recv, buffer, expected.len()));
        assert!(taken, "the server takes it");
        let back: Vec<u8> = self.buffer.drain(..expected.len()).collect();
        assert!(back == expected, "a frame of {} bytes comes back", expected.len());
    }

    /// Read so many bytes.
    pub async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        fill(&mut self.recv, &mut self.buffer, count).await;
        self.buffer.drain(..count).collect()
    }

    /// Everything up to END_STREAM.
    pub async fn rest(mut self) -> Vec<u8> {
        self.buffer.extend(read_all(&mut self.recv).await);
        self.buffer
    }
}

async fn fill(recv: &mut RecvStream, buffer: &mut Vec<u8>, count: usize) {
    while buffer.len() < count {
        let data = super::read(recv).await.expect("more of the stream").expect("more bytes");
        buffer.extend_from_slice(&data);
    }
}
