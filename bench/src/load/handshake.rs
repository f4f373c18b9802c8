//! Connect, 101, close. The client ends first and waits until the proxy has ended too;
//! only then is the operation counted.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{GLANCE, Meter, Window};
use crate::error::{BenchError, Context as _, Result};
use crate::net::{Sources, check_switch};
use crate::poll::{Interest, Poller};
use crate::ws::{RequestText, key_of};

/// Handshakes at a time.
const SLOTS: usize = 32;

struct Slot {
    stream: TcpStream,
    key: String,
    phase: Phase,
    head: Vec<u8>,
}

enum Phase {
    Connecting,
    Waiting,
    Ending,
}

struct Load {
    to: SocketAddr,
    poller: Poller,
    sources: Sources,
    text: RequestText,
    number: u64,
    buffer: Vec<u8>,
}

/// Run the load.
pub(crate) fn run(to: SocketAddr, mut meter: Meter<'_>) -> Result<Window> {
    let mut load = Load {
        to,
        poller: Poller::new()?,
        sources: Sources::new(),
        text: RequestText::handshake("/ws/echo"),
        number: 0,
        buffer: vec![0; 16 * 1024],
    };
    let mut slots = (0..SLOTS).map(|token| load.open(token)).collect::<Result<Vec<_>>>()?;
    let mut ready = Vec::new();
    loop {
        load.poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            let Some(slot) = slots.get_mut(event.token) else { continue };
            if load.act(slot, event.token)? {
                meter.count(1);
                *slot = load.open(event.token)?;
            }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}

impl Load {
    fn open(&mut self, token: usize) -> Result<Slot> {
        let stream = self.sources.connect(self.to)?;
        self.number += 1;
        let mut slot = Slot { stream, key: key_of(self.number), phase: Phase::Connecting, head: Vec::new() };
        let interest = if self.send(&mut slot)? { Interest::Read } else { Interest::Write };
        self.poller.add(&slot.stream, token, interest)?;
        Ok(slot)
    }

    /// Send the request; false where the connection is not established yet.
    fn send(&self, slot: &mut Slot) -> Result<bool> {
        let text = self.text.with_key(&slot.key);
        match slot.stream.write(text.as_bytes()) {
            Ok(length) if length == text.len() => {
                slot.phase = Phase::Waiting;
                Ok(true)
            }
            Ok(_) => Err(BenchError::Answer("no room for a handshake in a fresh socket".into())),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(false),
            Err(e) => Err(e).during("send a handshake"),
        }
    }

    /// One step of a slot; true when its connection is at an end.
    fn act(&mut self, slot: &mut Slot, token: usize) -> Result<bool> {
        if let Phase::Connecting = slot.phase {
            if self.send(slot)? {
                self.poller.change(&slot.stream, token, Interest::Read)?;
            }
            return Ok(false);
        }
        let length = match slot.stream.read(&mut self.buffer) {
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            // A reset after our end is an end as well.
            Err(e) if e.kind() == ErrorKind::ConnectionReset && matches!(slot.phase, Phase::Ending) => 0,
            Err(e) => return Err(e).during("read a handshake's answer"),
        };
        if let Phase::Ending = slot.phase {
            return Ok(length == 0);
        }
        slot.head.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
        if length == 0 || slot.head.ends_with(b"\r\n\r\n") {
            check_switch(&slot.head, &slot.key)?;
            slot.stream.shutdown(Shutdown::Write).during("shutdown")?;
            slot.phase = Phase::Ending;
        }
        Ok(false)
    }
}
