use std::collections::VecDeque;
use std::io::Read;
use std::task::Waker;

use super::*;

/// All codings, the best one first.
pub(super) fn settings() -> Compress {
    Compress {
        codings: vec![Coding::Br, Coding::Zstd, Coding::Gzip],
        types: vec!["text/html".to_owned()],
        min_length: 0,
        gzip_level: 1,
        br_level: 4,
        zstd_level: 3,
    }
}

/// Pieces; an empty one stands for a wait.
struct Script(VecDeque<&'static [u8]>, Option<Fields>);

impl Source for Script {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        match self.0.pop_front() {
            Some(b"") => Poll::Pending,
            Some(bytes) => Poll::Ready(Ok(Piece::Data(bytes.into()))),
            None => Poll::Ready(Ok(self.1.take().map_or(Piece::End, Piece::Trailers))),
        }
    }

    fn length(&self) -> Length {
        Length::Chunked
    }
}

fn decoder(coding: Coding, bytes: Vec<u8>) -> Box<dyn Read> {
    match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(io::Cursor::new(bytes))),
        Coding::Br => Box::new(brotli::Decompressor::new(io::Cursor::new(bytes), 4096)),
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(io::Cursor::new(bytes)).unwrap()),
    }
}

use std::io;

const ALL: [Coding; 3] = [Coding::Gzip, Coding::Br, Coding::Zstd];

fn compressed(coding: Coding, body: Body) -> Compressed {
    Compressed::new(body, coding, &settings()).unwrap()
}

/// Poll until the end; the bytes, and how often it had nothing.
fn drained(body: &mut Compressed) -> (Vec<u8>, usize) {
    let (mut out, mut waits) = (Vec::new(), 0);
    loop {
        match body.poll_piece(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Piece::Data(data))) => out.extend_from_slice(&data),
            Poll::Ready(Ok(_)) => return (out, waits),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => waits += 1,
        }
    }
}

#[test]
fn what_comes_out_is_what_went_in() {
    let noise: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for coding in ALL {
        for body in [b"".to_vec(), b"x".to_vec(), b"hello ".repeat(50_000), noise.clone()] {
            let (bytes, waits) = drained(&mut compressed(coding, Body::Full(body.clone().into())));
            let mut back = Vec::new();
            decoder(coding, bytes).read_to_end(&mut back).unwrap();
            assert!(back == body, "{coding:?}: {} of {} bytes", back.len(), body.len());
            // A large piece gives way in between.
            assert!(waits <= body.len() / TURN + 1, "{coding:?}: {waits}");
        }
    }
}

#[test]
fn an_event_is_readable_before_the_next_one_comes() {
    for coding in ALL {
        let script = Script([b"data: 1\n\n".as_slice(), b"", b"data: 2\n\n", b""].into(), None);
        let mut body = compressed(coding, Body::Stream(Box::new(script)));
        let mut seen = Vec::new();
        for wanted in ["data: 1\n\n", "data: 1\n\ndata: 2\n\n"] {
            // All that there is until it waits.
            while let Poll::Ready(Ok(Piece::Data(data))) = body.poll_piece(&mut Context::from_waker(Waker::noop())) {
                seen.extend_from_slice(&data);
            }
            let mut text = vec![0; wanted.len()];
            decoder(coding, seen.clone()).read_exact(&mut text).unwrap();
            assert_eq!(text, wanted.as_bytes(), "{coding:?}");
        }
    }
}

#[test]
fn a_body_that_waits_for_nothing_new_is_not_flushed_again() {
    let script = Script([b"x".as_slice(), b"", b"", b""].into(), None);
    let mut body = compressed(Coding::Gzip, Body::Stream(Box::new(script)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(body.poll_piece(&mut context).is_ready());
    assert!(body.poll_piece(&mut context).is_pending());
}

#[test]
fn trailers_stay_at_the_end() {
    let trailers: Fields = [("X-Sum", "1")].into_iter().collect();
    let mut body = compressed(Coding::Gzip, Body::Stream(Box::new(Script([b"x".as_slice()].into(), Some(trailers)))));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match body.poll_piece(&mut context) {
            Poll::Ready(Ok(Piece::Data(_))) => {}
            Poll::Ready(Ok(Piece::Trailers(trailers))) => break assert_eq!(trailers.get_str("x-sum"), Some("1")),
            other => panic!("{other:?}"),
        }
    }
}
