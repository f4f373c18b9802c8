//! A file as a body. Nothing here waits for the disk on the worker's thread.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::body::{Piece, Source};
use crate::error::{Error, Kind};
use crate::http1::Length;

/// What is read at once, bytes.
const PIECE: u64 = 64 << 10;

/// A part of a file, and what stands before it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) before: Bytes,
    pub(super) at: u64,
    pub(super) end: u64,
}

/// Parts of a file, in order.
pub(super) struct FileBody {
    file: Arc<File>,
    parts: VecDeque<Part>,
    /// Behind all of them.
    after: Bytes,
    length: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileBody {
    pub(super) fn new(file: File, parts: VecDeque<Part>, after: Bytes) -> Self {
        let sizes = parts.iter().map(|part| part.before.len() as u64 + (part.end - part.at));
        let length = sizes.sum::<u64>() + after.len() as u64;
        Self { file: Arc::new(file), parts, after, length, reading: None }
    }

    /// Bytes of the part in front: from memory at once where the system has them there, else
    /// from the disk by a thread that may wait.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let Some(Part { at, end, .. }) = self.parts.front() else { return Poll::Ready(Ok(Vec::new())) };
        let (at, wanted) = (*at, usize::try_from((end - at).min(PIECE)).unwrap_or_default());
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let mut bytes = vec![0; wanted];
                let slices = &mut [IoSliceMut::new(&mut bytes)];
                if let Ok(read @ 1..) = preadv2(&*self.file, slices, at, ReadWriteFlags::NOWAIT) {
                    bytes.truncate(read);
                    return Poll::Ready(Ok(bytes));
                }
                let file = Arc::clone(&self.file);
                self.reading.insert(spawn_blocking(move || {
                    let read = file.read_at(&mut bytes, at)?;
                    bytes.truncate(read);
                    Ok(bytes)
                }))
            }
        };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(read.map_err(io::Error::other).flatten())
    }
}

impl Source for FileBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        while let Some(part) = self.parts.front_mut() {
            if !part.before.is_empty() {
                return Poll::Ready(Ok(Piece::Data(std::mem::take(&mut part.before))));
            }
            if part.at == part.end {
                self.parts.pop_front();
                continue;
            }
            let broken = |why: String| Poll::Ready(Err(Error::new(Kind::File, why)));
            match ready!(self.poll_read(cx)) {
                Ok(bytes) if bytes.is_empty() => return broken("the file shrank while it was sent".to_owned()),
                Ok(bytes) => {
                    if let Some(part) = self.parts.front_mut() {
                        part.at += bytes.len() as u64;
                    }
                    return Poll::Ready(Ok(Piece::Data(bytes.into())));
                }
                Err(error) => return broken(error.to_string()),
            }
        }
        let after = std::mem::take(&mut self.after);
        Poll::Ready(Ok(if after.is_empty() { Piece::End } else { Piece::Data(after) }))
    }

    fn length(&self) -> Length {
        Length::Known(self.length)
    }
}

/// The body of an answer to HEAD: its length is known, and nothing of it is read.
pub(super) struct Unread(pub(super) u64);

impl Source for Unread {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        Poll::Ready(Ok(Piece::End))
    }

    fn length(&self) -> Length {
        Length::Known(self.0)
    }
}
