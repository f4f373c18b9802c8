//! One end of a tunnel as bytes both ways, whatever carries it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use tidegate::http3::{frame, varint};

use crate::http2;
use crate::http3;
use crate::noise::Noise;
use crate::ws::{self, Frame};

/// A connection of TCP, with TLS or without.
pub trait Carries: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Carries for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Carries for tokio_rustls::client::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Carries for tokio_rustls::server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// How a direction ends before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// TCP was reset, or TLS ended without close_notify.
    Connection,
    /// The stream was reset, for this reason.
    Stream(Reason),
    /// The stream of HTTP/3 was reset, with this code.
    Http3(u64),
}

/// One end of a tunnel.
pub struct Lane {
    /// Away from here.
    pub sender: Sender,
    /// To here.
    pub receiver: Receiver,
}

/// What sends.
pub enum Sender {
    /// A connection that is the tunnel's own.
    Http1(WriteHalf<Box<dyn Carries>>),
    /// A stream.
    Http2(SendStream<Bytes>),
    /// A stream of HTTP/3.
    Http3 {
        /// Where to.
        send: quinn::SendStream,
        /// The head of a frame that is not sent yet.
        head: Vec<u8>,
        /// What that frame still lacks.
        owed: usize,
        /// The connection, which ends with its last handle.
        _client: Arc<http3::Client>,
    },
}

/// What receives.
pub enum Receiver {
    /// A connection that is the tunnel's own.
    Http1 {
        /// Where from.
        read: ReadHalf<Box<dyn Carries>>,
        /// What came and was not taken yet.
        buffer: Vec<u8>,
    },
    /// A stream.
    Http2 {
        /// Where from.
        recv: RecvStream,
        /// What came and was not taken yet.
        buffer: Vec<u8>,
    },
    /// A stream of HTTP/3.
    Http3 {
        /// Where from.
        recv: quinn::RecvStream,
        /// Frames that came and were not looked at yet.
        raw: Vec<u8>,
        /// What the last frame still lacks.
        owed: usize,
        /// What came in frames and was not taken yet.
        buffer: Vec<u8>,
    },
}

impl Lane {
    pub(super) fn of_connection(stream: Box<dyn Carries>, early: Vec<u8>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { sender: Sender::Http1(write), receiver: Receiver::Http1 { read, buffer: early } }
    }

    pub(super) fn of_stream(send: SendStream<Bytes>, recv: RecvStream) -> Self {
        Self { sender: Sender::Http2(send), receiver: Receiver::Http2 { recv, buffer: Vec::new() } }
    }

    pub(super) fn of_http3(stream: http3::Stream, client: Arc<http3::Client>) -> Self {
        let (send, recv, raw) = stream.into_parts();
        Self {
            sender: Sender::Http3 { send, head: Vec::new(), owed: 0, _client: client },
            receiver: Receiver::Http3 { recv, raw, owed: 0, buffer: Vec::new() },
        }
    }

    /// Send a client's frames, and read a server's back meanwhile.
    pub async fn echo(&mut self, frames: &[Frame]) {
        let sent: Vec<u8> = frames.iter().flat_map(Frame::masked).collect();
        let expected: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        let (taken, back) = tokio::join!(self.sender.send(&sent), self.receiver.read_exact(expected.len()));
        taken.expect("the proxy takes it");
        assert!(back == expected, "{} bytes of frames come back", expected.len());
    }

    /// End both directions at once: a reset of TCP (with TLS without close_notify), or of the
    /// stream with CANCEL.
    pub fn reset(self) {
        match (self.sender, self.receiver) {
            (Sender::Http1(write), Receiver::Http1 { read, .. }) => {
                let stream = read.unsplit(write);
                SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
            }
            (Sender::Http2(mut send), _) => send.send_reset(Reason::CANCEL),
            (Sender::Http3 { mut send, .. }, Receiver::Http3 { mut recv, .. }) => {
                send.reset(CANCELLED).expect("an open stream");
                recv.stop(CANCELLED).expect("an open stream");
            }
            _ => unreachable!("halves of one lane"),
        }
    }
}

impl Sender {
    /// Send all of these bytes, as the windows allow.
    ///
    /// # Errors
    /// Where they are not taken.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        match self {
            Self::Http1(write) => {
                write.write_all(bytes).await.map_err(|_| Cut::Connection)?;
                write.flush().await.map_err(|_| Cut::Connection)
            }
            Self::Http2(send) => match http2::send_all(send, bytes).await {
                true => Ok(()),
                false => Err(Cut::Stream(reason(send).await)),
            },
            Self::Http3 { .. } => {
                let mut left = bytes;
                while !left.is_empty() {
                    let taken = self.send_some(left).await?;
                    left = &left[taken..];
                }
                Ok(())
            }
        }
    }

    /// Send noise until nothing was taken for `quiet`; how much was.
    pub async fn send_until_stalled(&mut self, noise: &mut Noise, most: usize, quiet: Duration) -> usize {
        const PIECE: usize = 16 << 10;
        let mut sent = 0;
        while sent < most {
            let piece = noise.clone().take(PIECE);
            let Ok(taken) = tokio::time::timeout(quiet, self.send_some(&piece)).await else { break };
            let taken = taken.expect("a side that reads nothing");
            noise.take(taken);
            sent += taken;
        }
        sent
    }

    /// Send as much as is taken at once; cancel-safe.
    async fn send_some(&mut self, bytes: &[u8]) -> Result<usize, Cut> {
        match self {
            // Small pieces, so that what TLS holds back is little.
            Self::Http1(write) => write.write(bytes).await.map_err(|_| Cut::Connection),
            Self::Http2(send) => {
                send.reserve_capacity(bytes.len());
                let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
                let room = room.expect("an open stream").expect("room").min(bytes.len());
                send.send_data(Bytes::copy_from_slice(&bytes[..room]), false).expect("an open stream");
                Ok(room)
            }
            Self::Http3 { send, head, owed, .. } => {
                if *owed == 0 {
                    frame::head(head, frame::DATA, bytes.len() as u64);
                    *owed = bytes.len();
                }
                while !head.is_empty() {
                    let taken = send.write(head).await.map_err(|error| stopped(&error))?;
                    head.drain(..taken);
                }
                let taken = send.write(&bytes[..bytes.len().min(*owed)]).await.map_err(|error| stopped(&error))?;
                *owed -= taken;
                Ok(taken)
            }
        }
    }

    /// End this direction: close_notify with TLS, FIN, END_STREAM.
    pub async fn finish(&mut self) {
        match self {
            // The other side may have gone by now, which is as good.
            Self::Http1(write) => drop(write.shutdown().await),
            Self::Http2(send) => http2::end(send),
            Self::Http3 { send, .. } => drop(send.finish()),
        }
    }
}

/// H3_REQUEST_CANCELLED (RFC 9220 §3).
const CANCELLED: quinn::VarInt = quinn::VarInt::from_u32(0x10C);

fn stopped(error: &quinn::WriteError) -> Cut {
    match error {
        quinn::WriteError::Stopped(code) => Cut::Http3(code.into_inner()),
        _ => Cut::Connection,
    }
}

/// Why a stream takes nothing any more.
async fn reason(send: &mut SendStream<Bytes>) -> Reason {
    match std::future::poll_fn(|cx| send.poll_reset(cx)).await {
        Ok(reason) => reason,
        Err(error) => error.reason().unwrap_or(Reason::INTERNAL_ERROR),
    }
}

impl Receiver {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// Where it is cut.
    pub async fn read(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        match self {
            Self::Http1 { buffer, .. } | Self::Http2 { buffer, .. } | Self::Http3 { buffer, .. }
                if !buffer.is_empty() =>
            {
                Ok(Some(std::mem::take(buffer)))
            }
            Self::Http1 { read, .. } => {
                let mut piece = vec![0; 64 << 10];
                match read.read(&mut piece).await {
                    Ok(0) => Ok(None),
                    Ok(n) => {
                        piece.truncate(n);
                        Ok(Some(piece))
                    }
                    Err(_cut) => Err(Cut::Connection),
                }
            }
            Self::Http2 { recv, .. } => match http2::read(recv).await {
                Ok(data) => Ok(data.map(|data| data.to_vec())),
                Err(error) if error.is_reset() => Err(Cut::Stream(error.reason().expect("a reset's reason"))),
                Err(_lost) => Err(Cut::Connection),
            },
            Self::Http3 { recv, raw, owed, .. } => loop {
                if *owed > 0 && !raw.is_empty() {
                    let rest = raw.split_off(raw.len().min(*owed));
                    let piece = std::mem::replace(raw, rest);
                    *owed -= piece.len();
                    return Ok(Some(piece));
                }
                if *owed == 0
                    && let Some((kind, first)) = varint::read(raw)
                    && let Some((length, second)) = varint::read(&raw[first..])
                {
                    assert_eq!(kind, frame::DATA, "a tunnel and a body have DATA only");
                    raw.drain(..first + second);
                    *owed = usize::try_from(length).unwrap();
                    continue;
                }
                match recv.read_chunk(64 << 10, true).await {
                    Ok(Some(chunk)) => raw.extend_from_slice(&chunk.bytes),
                    Ok(None) => {
                        assert!(raw.is_empty() && *owed == 0, "the stream ends within a frame");
                        return Ok(None);
                    }
                    Err(quinn::ReadError::Reset(code)) => return Err(Cut::Http3(code.into_inner())),
                    Err(_lost) => return Err(Cut::Connection),
                }
            },
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// Where there are not as many.
    pub async fn try_read_exact(&mut self, count: usize) -> Result<Vec<u8>, Option<Cut>> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let mut piece = self.read().await.map_err(Some)?.ok_or(None)?;
            if all.len() + piece.len() > count {
                let rest = piece.split_off(count - all.len());
                match self {
                    Self::Http1 { buffer, .. } | Self::Http2 { buffer, .. } | Self::Http3 { buffer, .. } => {
                        *buffer = rest;
                    }
                }
            }
            all.append(&mut piece);
        }
        Ok(all)
    }

    /// So many bytes.
    pub async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        self.try_read_exact(count).await.unwrap_or_else(|cut| panic!("wanted {count} bytes: {cut:?}"))
    }

    /// These bytes.
    pub async fn expect(&mut self, bytes: &[u8]) {
        let got = self.read_exact(bytes.len()).await;
        assert_eq!(got.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    /// So much noise.
    pub async fn expect_noise(&mut self, noise: &mut Noise, count: usize) {
        let mut got = 0;
        while got < count {
            let piece = self.read_exact((count - got).min(256 << 10)).await;
            noise.expect(&piece, got);
            got += piece.len();
        }
    }

    /// Everything up to the end.
    ///
    /// # Errors
    /// Where it is cut.
    pub async fn rest(&mut self) -> Result<Vec<u8>, Cut> {
        let mut all = Vec::new();
        while let Some(mut piece) = self.read().await? {
            all.append(&mut piece);
        }
        Ok(all)
    }
}

/// Send back every message's frames, unmasked, a PING as a PONG; a close frame too, and then end.
/// Without one, until the client ends.
pub async fn echo_frames(lane: &mut Lane) {
    while let Ok(start) = lane.receiver.try_read_exact(2).await {
        let length = match start[1] & 0x7F {
            126 => u16::from_be_bytes(lane.receiver.read_exact(2).await.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(lane.receiver.read_exact(8).await.try_into().unwrap()),
            n => u64::from(n),
        };
        assert!(start[1] & 0x80 != 0, "a client's frames are masked");
        let mask = lane.receiver.read_exact(4).await;
        let mut payload = lane.receiver.read_exact(usize::try_from(length).unwrap()).await;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let opcode = match start[0] & 0x0F {
            ws::PING => ws::PONG,
            opcode => opcode,
        };
        let frame = Frame { fin: start[0] & 0x80 != 0, opcode, payload };
        if lane.sender.send(&frame.bytes()).await.is_err() {
            return;
        }
        if opcode == ws::CLOSE {
            break;
        }
    }
    lane.sender.finish().await;
}
