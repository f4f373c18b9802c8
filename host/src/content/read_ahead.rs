//! Reading an answer ahead of a slow client, so that the peer is done with it early. nginx:
//! `proxy_buffering`, but for this: what is there is sent at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::body::{Body, Piece, Source};
use crate::error::Error;
use crate::http1::Length;

/// A body that is read by a task of its own, as far ahead as a limit allows. Dropping it ends
/// the task, and with it the body.
pub struct ReadAhead {
    shared: Arc<Mutex<Shared>>,
    length: Length,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    pieces: VecDeque<Bytes>,
    /// How many bytes they have.
    bytes: usize,
    end: Option<Result<Piece, Error>>,
    /// Whoever waits for a piece.
    taker: Option<Waker>,
    /// The task, where it waits for room.
    filler: Option<Waker>,
}

impl ReadAhead {
    /// Read a body up to `most` bytes ahead; one piece may go beyond. Only within a runtime.
    pub fn new(mut body: Body, most: usize) -> Self {
        let length = body.length();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let filled = Arc::clone(&shared);
        let filling = poll_fn(move |cx| fill(&mut body, &filled, most, cx));
        let task = tokio::spawn(filling).abort_handle();
        Self { shared, length, task }
    }
}

/// Move pieces into the queue while it has room; done at the body's end.
fn fill(body: &mut Body, shared: &Mutex<Shared>, most: usize, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        {
            let mut shared = shared.lock();
            if shared.bytes >= most {
                shared.filler = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let polled = body.poll_piece(cx);
        let mut shared = shared.lock();
        let (done, taker) = match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Piece::Data(data))) => {
                shared.bytes += data.len();
                shared.pieces.push_back(data);
                (false, shared.taker.take())
            }
            Poll::Ready(end) => {
                shared.end = Some(end);
                (true, shared.taker.take())
            }
        };
        drop(shared);
        if let Some(taker) = taker {
            taker.wake();
        }
        if done {
            return Poll::Ready(());
        }
    }
}

impl Source for ReadAhead {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let mut shared = self.shared.lock();
        let Some(piece) = shared.pieces.pop_front() else {
            return match shared.end.take() {
                Some(end) => Poll::Ready(end),
                None => {
                    shared.taker = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        };
        shared.bytes -= piece.len();
        let filler = shared.filler.take();
        drop(shared);
        if let Some(filler) = filler {
            filler.wake();
        }
        Poll::Ready(Ok(Piece::Data(piece)))
    }

    fn length(&self) -> Length {
        self.length
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
