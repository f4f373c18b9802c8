//! A message on its way out: its head and one piece of its body at a time.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::Length;
use crate::message::Fields;

/// Pieces up to this size are copied behind the head, so that a small message is one write
/// of one buffer.
const SMALL: usize = 1 << 10;

/// What of a message is not written yet. Holds one piece at most: the next one is asked for
/// when the last is gone.
#[derive(Debug)]
pub struct Writer {
    /// The head, small pieces, and what frames the piece.
    text: Vec<u8>,
    written: usize,
    piece: Bytes,
    /// Behind the piece.
    tail: &'static [u8],
    framing: Length,
    /// Whether the stream has taken a byte.
    begun: bool,
}

impl Writer {
    /// Begin with a head; its body will be framed like this.
    pub fn new(head: Vec<u8>, framing: Length) -> Self {
        Self { text: head, written: 0, piece: Bytes::new(), tail: b"", framing, begun: false }
    }

    /// Add a piece of the body. Only where all before is written, or small.
    pub fn put(&mut self, piece: Bytes) {
        if piece.is_empty() {
            // An empty chunk would be the last one.
            return;
        }
        let is_chunk = self.framing == Length::Chunked;
        if is_chunk {
            // Writing to memory does not fail.
            let _infallible = write!(self.text, "{:x}\r\n", piece.len());
        }
        let tail: &[u8] = if is_chunk { b"\r\n" } else { b"" };
        if piece.len() <= SMALL {
            self.text.extend_from_slice(&piece);
            self.text.extend_from_slice(tail);
        } else {
            (self.piece, self.tail) = (piece, tail);
        }
    }

    /// End the body.
    pub fn end(&mut self, trailers: Option<&Fields>) {
        if self.framing == Length::Chunked {
            // A piece that waits keeps its own line end in front of these.
            self.settle();
            self.text.extend_from_slice(b"0\r\n");
            if let Some(trailers) = trailers {
                trailers.write_to(&mut self.text);
            }
            self.text.extend_from_slice(b"\r\n");
        }
    }

    /// Whether another piece may be put.
    pub fn has_room(&self) -> bool {
        self.piece.is_empty() && self.tail.is_empty() && self.text.len() - self.written <= 4 * SMALL
    }

    /// Whether the stream has taken a byte of it.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.written == self.text.len() && self.piece.is_empty() && self.tail.is_empty()
    }

    /// Write what there is by a call that may take less of it, or none; nothing where a piece waits behind it, which
    /// is to go with it.
    ///
    /// # Errors
    /// Those of the call.
    pub fn write_by(&mut self, call: impl FnOnce(&[u8]) -> Option<io::Result<usize>>) -> io::Result<()> {
        let text = self.text.get(self.written..).unwrap_or_default();
        if self.piece.is_empty()
            && self.tail.is_empty()
            && let Some(written) = call(text)
        {
            self.advance(written?);
        }
        Ok(())
    }

    /// Write all of it.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_flush<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut W) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let text = self.text.get(self.written..).unwrap_or_default();
            let written = if self.piece.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, text))?
            } else {
                let parts = [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        self.text.clear();
        self.written = 0;
        // What TLS took and the socket did not is not written yet.
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        self.begun = true;
        let text = written.min(self.text.len() - self.written);
        self.written += text;
        written -= text;
        let piece = written.min(self.piece.len());
        self.piece.advance(piece);
        if self.piece.is_empty() {
            // Lets go of the memory behind it.
            self.piece = Bytes::new();
        }
        self.tail = self.tail.get(written - piece..).unwrap_or_default();
    }

    /// Make a waiting piece text, so that more text can stand behind it.
    fn settle(&mut self) {
        self.text.extend_from_slice(&std::mem::take(&mut self.piece));
        self.text.extend_from_slice(std::mem::take(&mut self.tail));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn written(writer: &mut Writer) -> String {
        let mut out = Vec::new();
        let flushed = writer.poll_flush(&mut Context::from_waker(Waker::noop()), &mut out);
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_call_takes_is_written_and_the_rest_follows() {
        let mut writer = Writer::new(b"head|".to_vec(), Length::Known(4));
        writer.write_by(|text| Some(Ok(text.len() - 3))).unwrap();
        writer.write_by(|text| (text == b"ad|").then_some(Ok(0))).unwrap();
        writer.write_by(|_| None).unwrap();
        assert!(writer.has_begun());
        assert_eq!(
            writer.write_by(|_| Some(Err(io::ErrorKind::BrokenPipe.into()))).unwrap_err().to_string(),
            "broken pipe"
        );
        writer.put(Bytes::from("body"));
        assert_eq!(written(&mut writer), "ad|body");
        let mut writer = Writer::new(b"head|".to_vec(), Length::Known(5000));
        writer.put(Bytes::from("x".repeat(5000)));
        writer.write_by(|_| Some(Ok(1))).unwrap();
        assert!(!writer.has_begun(), "head and piece go in one");
    }

    #[test]
    fn chunks_and_trailers() {
        let mut writer = Writer::new(b"head|".to_vec(), Length::Chunked);
        writer.put(Bytes::from("hello"));
        writer.put(Bytes::new());
        let large = "x".repeat(5000);
        writer.put(Bytes::from(large.clone()));
        assert!(!writer.has_room());
        writer.end(Some(&[("X-Sum", "1")].into_iter().collect()));
        assert_eq!(written(&mut writer), format!("head|5\r\nhello\r\n1388\r\n{large}\r\n0\r\nX-Sum: 1\r\n\r\n"));
        assert!(writer.is_empty());
    }

    #[test]
    fn a_known_length_is_sent_as_it_is() {
        let mut writer = Writer::new(b"head|".to_vec(), Length::Known(2000));
        writer.put(Bytes::from("y".repeat(2000)));
        writer.end(None);
        assert_eq!(written(&mut writer), format!("head|{}", "y".repeat(2000)));
    }
}
