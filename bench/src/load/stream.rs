//! Streams: messages back to back over a few tunnels, in one direction. An operation is a
//! byte that reached the client (down) or that the client's socket took (up).

use std::io::{ErrorKind, Read as _, Write as _};

use super::{BULK_TUNNELS, GLANCE, Meter, Window};
use crate::error::{BenchError, Context as _, Result};
use crate::net::Sources;
use crate::poll::{Interest, Poller};
use crate::wire::{Door, Wire};
use crate::ws;

/// Bytes of payload of a message.
const SIZE: usize = 1 << 20;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Server to client.
    Down,
    /// Client to server.
    Up,
}

/// Run the load.
pub(crate) fn run(to: &Door, way: Way, meter: Meter<'_>) -> Result<Window> {
    let poller = Poller::new()?;
    let mut sources = Sources::new();
    let mut streams = Vec::new();
    for token in 0..BULK_TUNNELS {
        let (path, interest) = match way {
            Way::Down => (format!("/ws/stream/{SIZE}"), Interest::Read),
            Way::Up => ("/ws/sink".to_owned(), Interest::Write),
        };
        let mut stream = sources.tunnel(to, &path)?;
        if way == Way::Down {
            check_first(&mut stream)?;
        }
        poller.add(&stream, token, interest)?;
        streams.push(stream);
    }
    match way {
        Way::Down => receive(poller, &mut streams, meter),
        Way::Up => send(poller, &mut streams, meter),
    }
}

/// The first message, compared byte by byte; the later ones are only counted.
fn check_first(stream: &mut Wire) -> Result<()> {
    let expected = ws::message(&ws::payload(SIZE), false);
    let mut got = vec![0; expected.len()];
    stream.set_blocking(true).during("blocking mode")?;
    stream.read_exact(&mut got).during("read a message")?;
    stream.set_blocking(false).during("non-blocking mode")?;
    if got == expected { Ok(()) } else { Err(BenchError::Answer("a streamed message differs".into())) }
}

fn receive(mut poller: Poller, streams: &mut [Wire], mut meter: Meter<'_>) -> Result<Window> {
    let mut buffer = vec![0; 1 << 20];
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            let Some(stream) = streams.get_mut(event.token) else { continue };
            match stream.discard(&mut buffer) {
                Ok(0) => return Err(BenchError::Answer("a stream was closed".into())),
                Ok(length) => meter.count(length as u64),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e).during("read a stream"),
            }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}

fn send(mut poller: Poller, streams: &mut [Wire], mut meter: Meter<'_>) -> Result<Window> {
    let message = ws::message(&ws::payload(SIZE), true);
    let bytes = message.repeat((1usize << 20).div_ceil(message.len()));
    let mut places = vec![0usize; streams.len()];
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            let (Some(stream), Some(at)) = (streams.get_mut(event.token), places.get_mut(event.token)) else {
                continue;
            };
            match stream.write(bytes.get(*at..).unwrap_or_default()) {
                Ok(length) => {
                    *at = (*at + length) % bytes.len();
                    meter.count(length as u64);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e).during("write a stream"),
            }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}
