//! The body of a client's request: QUIC's window is opened as it is passed on.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Shared;
use super::request::{self, BadHead};
use crate::body::{Piece, Source};
use crate::error::{Error, Kind};
use crate::http1::Length;
use crate::http3::{Broken, Code, Frames, Part};
use crate::message::Fields;
use crate::stream::Patience;

/// A body whose head was read.
pub(super) struct ClientBody {
    shared: Arc<Shared>,
    frames: Frames,
    /// What was read before the head was passed on.
    first: Option<Part>,
    length: Length,
    /// Bytes that came.
    seen: u64,
    trailers: Option<Fields>,
    /// The largest field section, bytes.
    most: usize,
    patience: Patience,
}

impl ClientBody {
    /// The rest of a stream. The client may be silent for `timeout`.
    pub(super) fn new(
        shared: &Arc<Shared>,
        (frames, first): (Frames, Option<Part>),
        length: Length,
        most: usize,
        timeout: Duration,
    ) -> Self {
        let patience = Patience::new(timeout);
        Self { shared: Arc::clone(shared), frames, first, length, seen: 0, trailers: None, most, patience }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        loop {
            let part = match self.first.take() {
                Some(part) => Ok(part),
                None => ready!(self.frames.poll_part(cx)),
            };
            match part {
                Ok(Part::Data(data)) => {
                    self.seen += data.len() as u64;
                    return Poll::Ready(if self.is_too_long() {
                        self.malformed(TOO_LONG)
                    } else {
                        Ok(Piece::Data(data))
                    });
                }
                Ok(Part::Headers(section)) => match request::trailers(&section, self.most) {
                    Ok(trailers) => self.trailers = Some(trailers),
                    Err(BadHead::Corrupt(why)) => {
                        self.shared.fail(Code::QPACK_DECOMPRESSION, why);
                        return Poll::Ready(Err(Error::new(Kind::ClientBody, why)));
                    }
                    Err(BadHead::Malformed(why)) => return Poll::Ready(self.malformed(why)),
                    Err(BadHead::TooLarge) => return Poll::Ready(self.malformed("trailers are too large")),
                },
                Ok(Part::End) if matches!(self.length, Length::Known(length) if length != self.seen) => {
                    return Poll::Ready(self.malformed("the body is shorter than its Content-Length"));
                }
                Ok(Part::End) => {
                    let trailers = self.trailers.take().filter(|trailers| !trailers.is_empty());
                    return Poll::Ready(Ok(trailers.map_or(Piece::End, Piece::Trailers)));
                }
                Err(broken) => {
                    self.shared.broken(broken);
                    let why = match broken {
                        Broken::Gone => "the stream was reset",
                        Broken::Connection(_, why) => why,
                        Broken::TooLarge => "trailers are too large",
                    };
                    return Poll::Ready(Err(Error::new(Kind::ClientBody, why)));
                }
            }
        }
    }

    /// RFC 9114 §4.1.2: lengths that differ are an attack on whoever goes by the other one.
    fn is_too_long(&self) -> bool {
        matches!(self.length, Length::Known(length) if self.seen > length)
    }

    fn malformed(&mut self, why: &'static str) -> Result<Piece, Error> {
        self.frames.stop_with(Code::MESSAGE);
        Err(Error::new(Kind::ClientBody, why))
    }
}

const TOO_LONG: &str = "the body is longer than its Content-Length";

impl Source for ClientBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        match self.poll_next(cx) {
            Poll::Pending => self.patience.poll(cx).map(|()| Err(Kind::ClientTimeout.into())),
            piece => {
                self.patience.heard();
                piece
            }
        }
    }

    fn length(&self) -> Length {
        self.length
    }
}
