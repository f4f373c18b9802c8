//! A body that a plugin sees piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::Replied;
use crate::body::{Body, Piece, Source};
use crate::error::{Error, Kind};
use crate::hook::{BodySession, BodyStop, Call, ChunkVerdict, EndVerdict, HookFailure, OnFailure};
use crate::http1::Length;
use crate::message::Fields;

/// The most that a plugin is shown at once, bytes.
const LARGEST: usize = 64 << 10;

/// Pieces of which nothing goes on, before other work on this thread has its turn.
const IN_VAIN: usize = 16;

/// A body through a plugin. It is asked for one piece after the other, and asks the plugin about
/// one at a time: whoever takes the pieces slowly slows all of them down.
pub(super) struct Filtered {
    body: Body,
    /// None once the plugin has seen the end, or has failed and the rest passes.
    session: Option<Box<dyn BodySession>>,
    /// What of the last piece the plugin has not seen.
    rest: Bytes,
    waiting: Waiting,
    /// The end, behind the last bytes.
    end: Option<Piece>,
    /// Where the plugin's answer for the client goes.
    replied: Option<Replied>,
}

type Later<T> = Pin<Box<dyn Future<Output = Result<T, HookFailure>> + Send>>;

/// What the plugin has not answered yet.
enum Waiting {
    Nothing,
    Chunk(Bytes, Later<ChunkVerdict>),
    End(Fields, Later<EndVerdict>),
}

/// What a step has led to.
enum Step {
    Give(Piece),
    /// There is nothing to give.
    On,
}

impl Filtered {
    /// Let the plugin see the body; `replied` takes its answer for the client.
    pub(super) fn new(body: Body, session: Box<dyn BodySession>, replied: Option<Replied>) -> Self {
        Self { body, session: Some(session), rest: Bytes::new(), waiting: Waiting::Nothing, end: None, replied }
    }

    fn ask_chunk(&mut self, data: Bytes) -> Result<Step, Error> {
        let Some(session) = &mut self.session else { return Ok(Step::Give(Piece::Data(data))) };
        match session.on_chunk(data.clone()) {
            Call::Ready(answer) => self.judge_chunk(data, answer),
            Call::Later(later) => {
                self.waiting = Waiting::Chunk(data, later);
                Ok(Step::On)
            }
        }
    }

    fn ask_end(&mut self, trailers: Fields) -> Result<Step, Error> {
        let Some(session) = &mut self.session else { return Ok(Step::Give(end(trailers))) };
        match session.on_end(&trailers) {
            Call::Ready(answer) => self.judge_end(trailers, answer),
            Call::Later(later) => {
                self.waiting = Waiting::End(trailers, later);
                Ok(Step::On)
            }
        }
    }

    fn judge_chunk(&mut self, data: Bytes, answer: Result<ChunkVerdict, HookFailure>) -> Result<Step, Error> {
        let data = match answer {
            Ok(ChunkVerdict::Pass) => data,
            Ok(ChunkVerdict::Replace(data)) => data,
            Ok(ChunkVerdict::Stop(stop)) => return Err(self.stopped(stop)),
            Err(failure) => {
                self.failed(&failure)?;
                data
            }
        };
        Ok(if data.is_empty() { Step::On } else { Step::Give(Piece::Data(data)) })
    }

    fn judge_end(&mut self, trailers: Fields, answer: Result<EndVerdict, HookFailure>) -> Result<Step, Error> {
        let (data, others) = match answer {
            Ok(EndVerdict::End(data, others)) => (data, others),
            Ok(EndVerdict::Stop(stop)) => return Err(self.stopped(stop)),
            Err(failure) => {
                self.failed(&failure)?;
                (Bytes::new(), None)
            }
        };
        self.session = None;
        let end = end(others.unwrap_or(trailers));
        if data.is_empty() {
            return Ok(Step::Give(end));
        }
        self.end = Some(end);
        Ok(Step::Give(Piece::Data(data)))
    }

    /// What a failure means: an end, or that the rest passes unseen.
    #[cold]
    fn failed(&mut self, failure: &HookFailure) -> Result<(), Error> {
        let session = self.session.take();
        match session.map_or(OnFailure::Closed, |session| session.on_failure()) {
            OnFailure::Closed => Err(Error::new(Kind::Plugin(failure.kind), failure.to_string())),
            OnFailure::Open => Ok(()),
        }
    }

    #[cold]
    fn stopped(&mut self, stop: BodyStop) -> Error {
        let session = self.session.take();
        let plugin = session.as_ref().map(|session| session.plugin()).unwrap_or_default();
        match stop {
            BodyStop::Reply(reply) => {
                let status = reply.status.as_u16();
                tracing::debug!(plugin, status, "a plugin answers instead of sending the body on");
                if let Some(replied) = &self.replied {
                    *replied.lock() = Some(reply);
                }
                Error::new(Kind::BodyStopped, format!("plugin `{plugin}` answers with {status}"))
            }
            BodyStop::Abort(why) => {
                tracing::warn!(plugin, why, "a plugin broke a body off");
                Error::new(Kind::BodyStopped, format!("plugin `{plugin}`: {why}"))
            }
        }
    }

    /// Go on with what the plugin was asked.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Error>> {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => Poll::Ready(Ok(Step::On)),
            Waiting::Chunk(data, mut later) => match later.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(self.judge_chunk(data, answer)),
                Poll::Pending => {
                    self.waiting = Waiting::Chunk(data, later);
                    Poll::Pending
                }
            },
            Waiting::End(trailers, mut later) => match later.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(self.judge_end(trailers, answer)),
                Poll::Pending => {
                    self.waiting = Waiting::End(trailers, later);
                    Poll::Pending
                }
            },
        }
    }
}

impl Source for Filtered {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let mut asked = 0;
        loop {
            if let Step::Give(piece) = ready!(self.poll_waiting(cx))? {
                return Poll::Ready(Ok(piece));
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(Ok(end));
            }
            if !self.rest.is_empty() && asked == IN_VAIN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let step = if self.rest.is_empty() {
                match ready!(self.body.poll_piece(cx))? {
                    Piece::Data(data) => {
                        self.rest = data;
                        continue;
                    }
                    Piece::Trailers(trailers) => self.ask_end(trailers)?,
                    Piece::End => self.ask_end(Fields::new())?,
                }
            } else {
                asked += 1;
                let data = self.rest.split_to(self.rest.len().min(LARGEST));
                self.ask_chunk(data)?
            };
            if let Step::Give(piece) = step {
                return Poll::Ready(Ok(piece));
            }
        }
    }

    fn length(&self) -> Length {
        Length::Chunked
    }
}

fn end(trailers: Fields) -> Piece {
    if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) }
}
