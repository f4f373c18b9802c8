//! A client's connection in a cell, and the tunnels that it opens.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use rustls::pki_types::ServerName;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::lane::{Carries, Lane};
use super::{Down, HOST};
use crate::head::Head;
use crate::http2::client::Client;
use crate::http3;
use crate::tls_client::TlsClient;
use crate::ws;

/// A client.
pub enum Visitor {
    /// Each tunnel has a connection of its own.
    Http1(Http1),
    /// All tunnels are streams of one.
    Http2(Client, Down),
    /// The same over QUIC.
    Http3(Arc<http3::Client>),
}

/// Where connections of HTTP/1.1 go.
pub struct Http1 {
    address: SocketAddr,
    tls: Option<TlsClient>,
    narrow: bool,
}

/// What came of a handshake.
pub struct Opened {
    /// 101 or 200 where there is a tunnel.
    pub status: u16,
    /// The lines of the answer.
    pub lines: HeaderMap,
    /// The tunnel, or the body of the refusal.
    pub lane: Lane,
}

impl Opened {
    /// A line's value; empty where it is not there.
    pub fn line(&self, name: &str) -> &str {
        self.lines.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Visitor {
    pub(super) async fn connect(down: Down, address: SocketAddr, tls: &TlsClient) -> Self {
        Self::made(down, address, tls, false).await
    }

    /// A client with small buffers in its kernel.
    pub async fn connect_narrow(down: Down, address: SocketAddr, tls: &TlsClient) -> Self {
        Self::made(down, address, tls, true).await
    }

    async fn made(down: Down, address: SocketAddr, tls: &TlsClient, narrow: bool) -> Self {
        match down {
            Down::H1 => Self::Http1(Http1 { address, tls: None, narrow }),
            Down::H1Tls => Self::Http1(Http1 { address, tls: Some(tls.clone()), narrow }),
            Down::H2 => Self::Http2(Client::connect(address).await, down),
            Down::H2Tls => Self::Http2(Client::connect_tls(address, tls).await, down),
            Down::H3 => Self::Http3(Arc::new(http3::Client::connect(address, tls).await)),
        }
    }

    /// Ask for a tunnel; `lines` go with the handshake. What the version says of a handshake that
    /// went well is asserted.
    pub async fn open(&self, path: &str, lines: &[(&'static str, &'static str)]) -> Opened {
        match self {
            Self::Http1(http1) => http1.open(path, lines).await,
            Self::Http3(client) => {
                let opened = Self::over_http3(client, path, lines).await;
                for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
                    let granted = (200..300).contains(&opened.status);
                    assert!(!granted || !opened.lines.contains_key(name), "{name} over HTTP/3");
                }
                opened
            }
            Self::Http2(client, down) => {
                let uri = format!("{}://{HOST}{path}", down.scheme());
                let (answer, tunnel) = client.connect_websocket(&uri, lines).await;
                let (parts, ()) = answer.into_parts();
                if parts.status.is_success() {
                    // RFC 8441 §5: none of these has a place in HTTP/2.
                    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
                        assert!(!parts.headers.contains_key(name), "{name} over HTTP/2");
                    }
                }
                let lane = Lane::of_stream(tunnel.send, tunnel.recv);
                Opened { status: parts.status.as_u16(), lines: parts.headers, lane }
            }
        }
    }

    async fn over_http3(client: &Arc<http3::Client>, path: &str, lines: &[(&'static str, &'static str)]) -> Opened {
        let (head, stream) = client.connect_websocket(path, lines).await;
        let mut answer = HeaderMap::new();
        for (name, value) in head.iter().filter(|(name, _)| name != ":status") {
            answer.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let status = http3::get(&head, ":status").expect("a status").parse().expect("a number");
        let lane = Lane::of_http3(stream, Arc::clone(client));
        Opened { status, lines: answer, lane }
    }

    /// Say that the connection ends, where its being dropped does not: silence of HTTP/3 is no end.
    pub async fn leave(&self) {
        if let Self::Http3(client) = self {
            client.quic.close(http3::code(0x100), b"");
            client.endpoint.wait_idle().await;
        }
    }

    /// A tunnel that must open.
    pub async fn tunnel(&self, path: &str) -> Lane {
        let opened = self.open(path, &[]).await;
        assert!(matches!(opened.status, 101 | 200), "status {}", opened.status);
        opened.lane
    }
}

impl Http1 {
    async fn open(&self, path: &str, lines: &[(&str, &str)]) -> Opened {
        let mut stream = self.connect().await;
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let asked = ws::handshake(path, &lines).replace("ws.example.com", HOST);
        stream.write_all(asked.as_bytes()).await.expect("send a handshake");
        stream.flush().await.expect("send a handshake");
        let (head, early) = read_head(&mut stream).await.expect("an answer");
        let status = head.status();
        if status == 101 {
            assert_eq!(head.get("sec-websocket-accept"), Some(ws::accept(ws::KEY).as_str()));
            assert!(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"), "{head:?}");
            assert!(head.get("content-length").is_none() && head.get("transfer-encoding").is_none(), "{head:?}");
        }
        Opened { status, lines: map(&head), lane: Lane::of_connection(stream, early) }
    }

    async fn connect(&self) -> Box<dyn Carries> {
        let tcp = if self.narrow { narrow(self.address).await } else { TcpStream::connect(self.address).await };
        let tcp = tcp.expect("a connection");
        tcp.set_nodelay(true).expect("TCP_NODELAY");
        let Some(tls) = &self.tls else { return Box::new(tcp) };
        let mut config = tls.config();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(tls.name().to_owned()).unwrap();
        Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("TLS"))
    }
}

async fn narrow(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(16 << 10)?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpSocket::from_std_stream(socket.into()).connect(address).await
}

/// A head, and what came behind it; none at the end of the stream.
pub(super) async fn read_head(stream: &mut Box<dyn Carries>) -> Option<(Head, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = seen.split_off(at + 4);
            return Some((Head::parse(&seen), rest));
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&piece[..n]),
        }
    }
}

/// The lines of a head.
pub(super) fn map(head: &Head) -> HeaderMap {
    let mut lines = HeaderMap::new();
    for (name, value) in &head.headers {
        lines.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    lines
}
