//! Streams that carry no request (RFC 9114 §6.2): the control streams of both sides, and those
//! that are QPACK's (RFC 9204 §4.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use super::Shared;
use crate::http3::{Code, frame, varint};

/// How long a client may take to make room for a GOAWAY.
const PATIENCE: Duration = Duration::from_secs(1);
/// The largest frame of a control stream that is read, bytes.
const MOST: u64 = 4 << 10;

/// This side's control stream.
pub(super) struct Control(SendStream);

impl Control {
    /// Open it and send SETTINGS; none where the connection is over.
    pub(super) async fn open(quic: &quinn::Connection, max_head: u64) -> Option<Self> {
        let mut send = quic.open_uni().await.ok()?;
        let mut bytes = Vec::new();
        varint::write(&mut bytes, frame::CONTROL_STREAM);
        frame::settings(&mut bytes, max_head);
        send.write_all(&bytes).await.ok()?;
        Some(Self(send))
    }

    /// No stream from this one on will be served (RFC 9114 §5.2).
    pub(super) async fn goaway(&mut self, from: u64) {
        let mut bytes = Vec::new();
        frame::number(&mut bytes, frame::GOAWAY, from);
        // Who gives the control stream no room is not waited for, and a connection that is over is
        // found so by its next stream.
        let _over = timeout(PATIENCE, self.0.write_all(&bytes)).await;
    }
}

/// Which streams a client has opened, of those that there is one of.
#[derive(Debug, Default)]
pub(super) struct Opened {
    control: AtomicBool,
    encoder: AtomicBool,
    decoder: AtomicBool,
}

/// Why a connection must end.
type Fault = (Code, &'static str);

/// Read a stream of the client's that carries no request, to its end.
pub(super) async fn read(shared: Arc<Shared>, recv: RecvStream) {
    let mut reader = Reader { recv, chunk: Bytes::new() };
    if let Err((code, why)) = serve(&shared.opened, &mut reader).await {
        shared.fail(code, why);
    }
}

async fn serve(opened: &Opened, reader: &mut Reader) -> Result<(), Fault> {
    // A stream that ends before it says what it is, is nothing (RFC 9114 §6.2).
    let Some(kind) = reader.number().await else { return Ok(()) };
    let first = |seen: &AtomicBool| {
        let again = (Code::STREAM_CREATION, "a second stream where there is to be one");
        if seen.swap(true, Ordering::Relaxed) { Err(again) } else { Ok(()) }
    };
    match kind {
        frame::CONTROL_STREAM => {
            first(&opened.control)?;
            control(reader).await
        }
        frame::ENCODER_STREAM => {
            first(&opened.encoder)?;
            encoder(reader).await
        }
        frame::DECODER_STREAM => {
            first(&opened.decoder)?;
            decoder(reader).await
        }
        frame::PUSH_STREAM => Err((Code::STREAM_CREATION, "clients do not push")),
        _ => {
            // RFC 9114 §6.2: what nobody knows is not read.
            let _over = reader.recv.stop(Code::STREAM_CREATION.into());
            Ok(())
        }
    }
}

/// RFC 9114 §6.2.1: it stays as long as the connection.
const CLOSED: Fault = (Code::CLOSED_CRITICAL_STREAM, "a stream ends that must stay");

/// The frames of the client's control stream.
async fn control(reader: &mut Reader) -> Result<(), Fault> {
    let mut settled = false;
    let (mut most_push, mut left_from) = (None, None);
    loop {
        let kind = reader.number().await.ok_or(CLOSED)?;
        let length = reader.number().await.ok_or(CLOSED)?;
        if !settled && kind != frame::SETTINGS {
            return Err((Code::MISSING_SETTINGS, "the control stream begins with something else than SETTINGS"));
        }
        match kind {
            frame::SETTINGS if settled => return Err((Code::FRAME_UNEXPECTED, "SETTINGS twice")),
            frame::SETTINGS => {
                settled = true;
                frame::check_settings(&reader.bytes(length).await?).map_err(|why| (Code::SETTINGS, why))?;
            }
            frame::GOAWAY => left_from = Some(falling(single(&reader.bytes(length).await?)?, left_from)?),
            frame::MAX_PUSH_ID => most_push = Some(rising(single(&reader.bytes(length).await?)?, most_push)?),
            // Nothing was ever promised (RFC 9114 §7.2.3).
            frame::CANCEL_PUSH => return Err((Code::ID, "a push is cancelled that was not promised")),
            frame::DATA | frame::HEADERS | frame::PUSH_PROMISE => {
                return Err((Code::FRAME_UNEXPECTED, "a frame that has no place on a control stream"));
            }
            kind if frame::is_of_http2(kind) => return Err((Code::FRAME_UNEXPECTED, "a frame of HTTP/2")),
            _ => reader.skip(length).await?,
        }
    }
}

/// The one number that a frame consists of.
fn single(content: &[u8]) -> Result<u64, Fault> {
    let number = varint::read(content).filter(|(_, used)| *used == content.len());
    number.map(|(number, _)| number).ok_or((Code::FRAME, "a frame is not one number"))
}

/// RFC 9114 §5.2: the number of a later GOAWAY is not larger.
fn falling(number: u64, before: Option<u64>) -> Result<u64, Fault> {
    let larger = before.is_some_and(|before| number > before);
    if larger { Err((Code::ID, "a GOAWAY takes back an earlier one")) } else { Ok(number) }
}

/// RFC 9114 §7.2.7: a later MAX_PUSH_ID is not smaller.
fn rising(number: u64, before: Option<u64>) -> Result<u64, Fault> {
    let smaller = before.is_some_and(|before| number < before);
    if smaller { Err((Code::ID, "a MAX_PUSH_ID takes back an earlier one")) } else { Ok(number) }
}

/// Instructions of the client's encoder: to a table without room only one can be given, that
/// it has none (RFC 9204 §3.2.3).
async fn encoder(reader: &mut Reader) -> Result<(), Fault> {
    const NO_CAPACITY: u8 = 0b0010_0000;
    loop {
        if reader.byte().await.ok_or(CLOSED)? != NO_CAPACITY {
            return Err((Code::QPACK_ENCODER_STREAM, "an instruction for a dynamic table, and there is none"));
        }
    }
}

/// Instructions of the client's decoder: what refers to no table has nothing to be acknowledged;
/// that a stream was given up may be told (RFC 9204 §4.4).
async fn decoder(reader: &mut Reader) -> Result<(), Fault> {
    const CANCELLATION: u8 = 0b0100_0000;
    const LOW: u8 = 0b0011_1111;
    loop {
        let first = reader.byte().await.ok_or(CLOSED)?;
        if first & !LOW != CANCELLATION {
            return Err((Code::QPACK_DECODER_STREAM, "a dynamic table is acknowledged, and there is none"));
        }
        // The rest of the stream's number.
        let mut more = first & LOW == LOW;
        while more {
            more = reader.byte().await.ok_or(CLOSED)? & 0x80 != 0;
        }
    }
}

/// A stream, byte by byte.
struct Reader {
    recv: RecvStream,
    chunk: Bytes,
}

impl Reader {
    /// Whether there is more; waits for it.
    async fn more(&mut self) -> bool {
        const PIECE: usize = 4 << 10;
        while self.chunk.is_empty() {
            match self.recv.read_chunk(PIECE, true).await {
                Ok(Some(chunk)) => self.chunk = chunk.bytes,
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    async fn byte(&mut self) -> Option<u8> {
        if !self.more().await {
            return None;
        }
        let byte = self.chunk.first().copied();
        let _first = self.chunk.split_to(1);
        byte
    }

    async fn number(&mut self) -> Option<u64> {
        let mut bytes = Vec::with_capacity(8);
        loop {
            bytes.push(self.byte().await?);
            if let Some((number, _)) = varint::read(&bytes) {
                return Some(number);
            }
        }
    }

    /// The content of a frame.
    async fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Fault> {
        if length > MOST {
            return Err((Code::EXCESSIVE_LOAD, "a frame is too large"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            bytes.push(self.byte().await.ok_or(CLOSED)?);
        }
        Ok(bytes)
    }

    async fn skip(&mut self, mut length: u64) -> Result<(), Fault> {
        while length > 0 {
            if !self.more().await {
                return Err(CLOSED);
            }
            let part = self.chunk.split_to(usize::try_from(length).unwrap_or(usize::MAX).min(self.chunk.len()));
            length -= part.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_frames() {
        assert_eq!((single(&[5]), single(&[0x40, 0x25])), (Ok(5), Ok(37)));
        assert!(single(&[]).is_err() && single(&[5, 5]).is_err() && single(&[0x40]).is_err());
        assert_eq!((falling(4, None), falling(4, Some(4)), falling(0, Some(4))), (Ok(4), Ok(4), Ok(0)));
        assert!(falling(8, Some(4)).is_err());
        assert!(rising(8, Some(4)).is_ok() && rising(3, Some(4)).is_err());
    }
}
