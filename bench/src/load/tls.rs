//! Connect, TLS handshake, close: whole handshakes, or resumed ones. The client ends first and
//! waits until the proxy has ended too; only then is the operation counted.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustls::{ClientConnection, HandshakeKind};

use super::{GLANCE, Meter, Window};
use crate::error::{BenchError, Context as _, Result};
use crate::net::Sources;
use crate::poll::{Interest, Poller};
use crate::tls::{Client, Trust, wrong};

/// Handshakes at a time.
const SLOTS: usize = 32;

struct Slot {
    /// Of this slot alone: sessions are used once, so slots must not take each other's.
    client: Client,
    stream: TcpStream,
    tls: ClientConnection,
    phase: Phase,
    finished: u64,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Connecting,
    Shaking,
    Ending,
}

/// Run the load.
pub(crate) fn run(to: SocketAddr, trust: &Trust, resumes: bool, mut meter: Meter<'_>) -> Result<Window> {
    let mut poller = Poller::new()?;
    let mut sources = Sources::new();
    let mut slots = Vec::new();
    for token in 0..SLOTS {
        let client = trust.client(resumes)?;
        let (stream, tls) = (sources.connect(to)?, client.connection()?);
        poller.add(&stream, token, Interest::Write)?;
        slots.push(Slot { client, stream, tls, phase: Phase::Connecting, finished: 0 });
    }
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            let Some(slot) = slots.get_mut(event.token) else { continue };
            if slot.phase == Phase::Connecting {
                slot.phase = Phase::Shaking;
                poller.change(&slot.stream, event.token, Interest::Read)?;
            }
            if slot.act()? {
                slot.check(resumes)?;
                meter.count(1);
                (slot.stream, slot.tls) = (sources.connect(to)?, slot.client.connection()?);
                slot.phase = Phase::Connecting;
                poller.add(&slot.stream, event.token, Interest::Write)?;
            }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}

impl Slot {
    /// As far as it goes; true when the connection is at an end.
    fn act(&mut self) -> Result<bool> {
        loop {
            while self.tls.wants_write() {
                // A handshake fits into a fresh socket's buffer.
                self.tls.write_tls(&mut self.stream).during("send a TLS handshake")?;
            }
            if self.phase == Phase::Shaking && !self.tls.is_handshaking() {
                self.phase = Phase::Ending;
                self.tls.send_close_notify();
                self.tls.write_tls(&mut self.stream).during("send the end")?;
                self.stream.flush().during("send the end")?;
                self.stream.shutdown(Shutdown::Write).during("shutdown")?;
            }
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) if self.phase == Phase::Ending => return Ok(true),
                Ok(0) => return Err(BenchError::Answer("the connection ended within the TLS handshake".into())),
                Ok(_) => {
                    self.tls.process_new_packets().map_err(|e| wrong(&e))?;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                // A reset after our end is an end as well.
                Err(e) if e.kind() == ErrorKind::ConnectionReset && self.phase == Phase::Ending => return Ok(true),
                Err(e) => return Err(e).during("read a TLS handshake"),
            }
        }
    }

    /// Whether it was the kind of handshake that is to be measured.
    fn check(&mut self, resumes: bool) -> Result<()> {
        let is_resumed = self.tls.handshake_kind() == Some(HandshakeKind::Resumed);
        self.finished += 1;
        if is_resumed == (resumes && self.finished > 1) {
            return Ok(());
        }
        Err(BenchError::Answer(format!("handshake {} of a slot: resumed: {is_resumed}", self.finished)))
    }
}
