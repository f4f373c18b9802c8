//! What comes on a stream of HTTP/2, from a client or from a peer, as pieces of a body.

use std::task::{Context, Poll, ready};

use h2::RecvStream;

use super::Piece;
use crate::http1::may_trail;
use crate::message::Fields;

/// The body on a stream. The stream's window is opened as pieces are passed on, so that whoever
/// takes them slowly slows the sender down (RFC 9113 §5.2). Dropping it before its end resets the
/// stream.
pub struct Incoming {
    recv: RecvStream,
    /// Bytes that were passed on and are not given back to the window yet.
    passed: usize,
}

impl Incoming {
    /// The body of the message whose head has come.
    pub fn new(recv: RecvStream) -> Self {
        Self { recv, passed: 0 }
    }

    /// The next piece. Not asked again after an end or an error.
    ///
    /// # Errors
    /// Where the stream is reset or its connection ends.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, h2::Error>> {
        // Who asks for the next piece has passed on the last one. A stream that is over has no
        // window, and needs none.
        let _over = self.recv.flow_control().release_capacity(std::mem::take(&mut self.passed));
        while let Some(data) = ready!(self.recv.poll_data(cx)?) {
            if !data.is_empty() {
                self.passed = data.len();
                return Poll::Ready(Ok(Piece::Data(data)));
            }
        }
        let trailers = ready!(self.recv.poll_trailers(cx))?;
        let mut fields = trailers.as_ref().map(Fields::from).unwrap_or_default();
        fields.retain(may_trail);
        Poll::Ready(Ok(if fields.is_empty() { Piece::End } else { Piece::Trailers(fields) }))
    }
}
