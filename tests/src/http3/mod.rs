//! A client that speaks HTTP/3, frame by frame, over QUIC by `quinn`: so that a test can say what
//! no well-behaved client says.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream, VarInt};
use tidegate::http3::qpack::{self, Section};
use tidegate::http3::{frame, varint};

use crate::tls_client::TlsClient;
use crate::ws::Frame;

pub use crate::http2::client::run;

/// A connection.
pub struct Client {
    /// Its socket.
    pub endpoint: Endpoint,
    /// QUIC's side of it.
    pub quic: Connection,
    /// The client's control stream, which must stay.
    _control: Option<SendStream>,
}

/// A stream, with what came and was not looked at yet.
pub struct Stream {
    /// To the server.
    pub send: SendStream,
    /// From the server.
    pub recv: RecvStream,
    buffer: Vec<u8>,
    /// What came of DATA frames and was not expected yet.
    data: Vec<u8>,
}

/// What the server sends on a stream, with what came and was not looked at yet.
pub struct Frames {
    recv: RecvStream,
    buffer: Vec<u8>,
}

/// Header lines, in order.
pub type Lines = Vec<(String, String)>;

impl Client {
    /// Connect; the server must speak `h3`.
    pub async fn connect(address: SocketAddr, client: &TlsClient) -> Self {
        Self::try_connect(address, client).await.expect("a connection")
    }

    /// Connect, and say what every client says first.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn try_connect(address: SocketAddr, client: &TlsClient) -> Result<Self, ConnectionError> {
        let mut client = Self::silent(address, client).await?;
        let mut control = client.quic.open_uni().await?;
        control.write_all(&[0, 4, 0]).await.expect("an own control stream");
        client._control = Some(control);
        Ok(client)
    }

    /// Connect, and say nothing.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn silent(address: SocketAddr, client: &TlsClient) -> Result<Self, ConnectionError> {
        Self::from(UdpSocket::bind("127.0.0.1:0").expect("a port"), address, client).await
    }

    async fn from(socket: UdpSocket, address: SocketAddr, client: &TlsClient) -> Result<Self, ConnectionError> {
        let mut tls = client.config();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("TLS 1.3")));
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime).expect("an endpoint");
        let quic = endpoint.connect_with(config, address, client.name()).expect("a handshake").await?;
        Ok(Self { endpoint, quic, _control: None })
    }

    /// A stream of which nothing was sent.
    pub async fn stream(&self) -> Stream {
        let (send, recv) = self.quic.open_bi().await.expect("a stream");
        Stream { send, recv, buffer: Vec::new(), data: Vec::new() }
    }

    /// Begin a request with these lines, as they are.
    pub async fn begin(&self, lines: &[(&str, &str)]) -> Stream {
        let mut stream = self.stream().await;
        stream.headers(lines).await;
        stream
    }

    /// Ask for a path of `example.com`, with this body, and read the whole answer.
    pub async fn ask(&self, method: &str, path: &str, body: &[u8]) -> (Lines, Vec<u8>) {
        let mut stream = self.begin(&request(method, path)).await;
        if !body.is_empty() {
            stream.data(body).await;
        }
        stream.end();
        let head = stream.head().await;
        (head, stream.body().await)
    }

    /// Ask for a tunnel (RFC 9220), with these header lines.
    pub async fn connect_websocket(&self, path: &str, lines: &[(&str, &str)]) -> (Lines, Stream) {
        let mut all = request("CONNECT", path).to_vec();
        all.extend([(":protocol", "websocket"), ("sec-websocket-version", "13")]);
        all.extend_from_slice(lines);
        let mut stream = self.begin(&all).await;
        (stream.head().await, stream)
    }

    /// The server's control stream.
    pub async fn control(&self) -> Frames {
        let recv = self.quic.accept_uni().await.expect("the server's control stream");
        let mut frames = Frames { recv, buffer: Vec::new() };
        assert!(frames.more().await.expect("an open stream"));
        assert_eq!(frames.buffer.remove(0), 0, "the first stream is the control stream");
        frames
    }

    /// A stream that carries no request, with these bytes.
    pub async fn side_stream(&self, bytes: &[u8]) -> SendStream {
        let mut send = self.quic.open_uni().await.expect("a stream");
        send.write_all(bytes).await.expect("a stream that takes bytes");
        send
    }

    /// The code that the server ends the connection with.
    pub async fn end(&self) -> u64 {
        match self.quic.closed().await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("the server ends it otherwise: {other}"),
        }
    }
}

/// The pseudo-header fields of a request for a path of `example.com`.
pub fn request<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", "example.com"), (":path", path)]
}

/// The value of a line; none where it is not there.
pub fn get<'l>(lines: &'l Lines, name: &str) -> Option<&'l str> {
    lines.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// A whole frame.
pub fn framed(kind: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::head(&mut bytes, kind, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

/// A field section with these lines, as they are.
pub fn section(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Section::new();
    for (name, value) in lines {
        section.raw(name.as_bytes(), value.as_bytes());
    }
    section.into_bytes()
}

impl Stream {
    /// Both directions, and what came and was not looked at yet: frames.
    pub fn into_parts(self) -> (SendStream, RecvStream, Vec<u8>) {
        (self.send, self.recv, self.buffer)
    }

    /// Send these bytes and end, and meanwhile read frames to the end. The server need not take
    /// all of them.
    ///
    /// # Errors
    /// Where the stream is reset.
    pub async fn exchange(self, bytes: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let (mut send, recv, buffer) = self.into_parts();
        let sending = async {
            if send.write_all(bytes).await.is_ok() {
                let _over = send.finish();
            }
        };
        let receiving = async {
            let (mut recv, mut buffer, mut frames) = (recv, buffer, Vec::new());
            while let Some(frame) = next(&mut recv, &mut buffer).await? {
                frames.push(frame);
            }
            Ok(frames)
        };
        let (mut sending, mut receiving) = (Box::pin(sending), Box::pin(receiving));
        tokio::select! {
            frames = &mut receiving => frames,
            () = &mut sending => receiving.await,
        }
    }

    /// Send bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("the server takes it");
    }

    /// Send a HEADERS frame with these lines, as they are.
    pub async fn headers(&mut self, lines: &[(&str, &str)]) {
        self.raw(&framed(frame::HEADERS, &section(lines))).await;
    }

    /// Send bytes of the body in one frame.
    pub async fn data(&mut self, bytes: &[u8]) {
        self.raw(&framed(frame::DATA, bytes)).await;
    }

    /// End the direction to the server.
    pub fn end(&mut self) {
        self.send.finish().expect("an open stream");
    }

    /// The head of the answer.
    pub async fn head(&mut self) -> Lines {
        match self.frame().await.expect("an answer") {
            Some((frame::HEADERS, content)) => lines(&content),
            other => panic!("not a head: {other:?}"),
        }
    }

    /// The next frame; none at the end.
    ///
    /// # Errors
    /// Where the stream is reset.
    pub async fn frame(&mut self) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        next(&mut self.recv, &mut self.buffer).await
    }

    /// The body up to the end, or up to trailers.
    pub async fn body(&mut self) -> Vec<u8> {
        self.body_and_trailers().await.0
    }

    /// The body and the trailers.
    pub async fn body_and_trailers(&mut self) -> (Vec<u8>, Option<Lines>) {
        let (mut body, mut trailers) = (std::mem::take(&mut self.data), None);
        while let Some((kind, content)) = self.frame().await.expect("more of the body") {
            match kind {
                frame::DATA => body.extend_from_slice(&content),
                frame::HEADERS => trailers = Some(lines(&content)),
                other => panic!("frame {other}"),
            }
        }
        (body, trailers)
    }

    /// Read so many bytes of the tunnel.
    pub async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        read_exact(&mut self.recv, (&mut self.buffer, &mut self.data), count).await
    }

    /// Send a frame of a WebSocket, and read these bytes meanwhile.
    pub async fn send_for(&mut self, bytes: &[u8], expected: &[u8]) {
        let sent = framed(frame::DATA, bytes);
        let Self { send, recv, buffer, data } = self;
        let (sent, back) = tokio::join!(send.write_all(&sent), read_exact(recv, (buffer, data), expected.len()));
        sent.expect("the server takes it");
        assert!(back == expected, "{} bytes come back", expected.len());
    }

    /// Send a frame of a WebSocket, and read it back meanwhile.
    pub async fn echo(&mut self, frame: &Frame) {
        self.send_for(&frame.masked(), &frame.bytes()).await;
    }
}

impl Frames {
    /// The next frame; none at the end.
    ///
    /// # Errors
    /// Where the connection is over.
    pub async fn frame(&mut self) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        next(&mut self.recv, &mut self.buffer).await
    }

    async fn more(&mut self) -> Result<bool, ReadError> {
        more(&mut self.recv, &mut self.buffer).await
    }
}

async fn next(recv: &mut RecvStream, buffer: &mut Vec<u8>) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    loop {
        if let Some((kind, first)) = varint::read(buffer)
            && let Some((length, second)) = varint::read(&buffer[first..])
        {
            let (begin, length) = (first + second, usize::try_from(length).unwrap());
            if buffer.len() >= begin + length {
                let rest = buffer.split_off(begin + length);
                let content = std::mem::replace(buffer, rest).split_off(begin);
                return Ok(Some((kind, content)));
            }
        }
        if !more(recv, buffer).await? {
            assert!(buffer.is_empty(), "the stream ends within a frame");
            return Ok(None);
        }
    }
}

async fn more(recv: &mut RecvStream, buffer: &mut Vec<u8>) -> Result<bool, ReadError> {
    let chunk = recv.read_chunk(64 << 10, true).await?;
    Ok(chunk.map(|chunk| buffer.extend_from_slice(&chunk.bytes)).is_some())
}

async fn read_exact(recv: &mut RecvStream, (buffer, data): (&mut Vec<u8>, &mut Vec<u8>), count: usize) -> Vec<u8> {
    while data.len() < count {
        let Some((kind, first)) = varint::read(buffer) else {
            assert!(more(recv, buffer).await.expect("more of the tunnel"), "more bytes");
            continue;
        };
        assert_eq!(kind, frame::DATA);
        match varint::read(&buffer[first..]) {
            Some((length, second)) if buffer.len() as u64 >= (first + second) as u64 + length => {
                let length = usize::try_from(length).unwrap();
                data.extend_from_slice(&buffer[first + second..first + second + length]);
                buffer.drain(..first + second + length);
            }
            _ => assert!(more(recv, buffer).await.expect("more of the tunnel"), "more bytes"),
        }
    }
    data.drain(..count).collect()
}

/// The lines of a field section.
pub fn lines(section: &[u8]) -> Lines {
    let mut lines = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    qpack::decode(section, 1 << 20, |name, value| lines.push((text(name), text(value)))).expect("a field section");
    lines
}

/// A code of HTTP/3.
pub fn code(code: u32) -> VarInt {
    VarInt::from_u32(code)
}
