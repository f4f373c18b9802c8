//! Echo: open tunnels, one message in flight on each. Either a new message goes out as
//! soon as the last has come back (closed loop), or messages go out at a fixed pace.

use std::io::{ErrorKind, Read as _, Write as _};

use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::{GLANCE, Meter, Window};
use crate::error::{BenchError, Context as _, Result};
use crate::net::Sources;
use crate::poll::{Interest, Poller, Ready};
use crate::wire::{Door, Wire};
use crate::ws;

const TIMER: usize = usize::MAX;

/// A tunnel and how far its exchange is.
struct Tunnel {
    stream: Wire,
    sent: usize,
    got: usize,
    idle: bool,
    writing: bool,
}

struct Load {
    poller: Poller,
    tunnels: Vec<Tunnel>,
    message: Vec<u8>,
    answer: usize,
    buffer: Vec<u8>,
    /// The timer of a paced load.
    timer: Option<OwnedFd>,
    turn: usize,
}

/// From this size on an answer is taken off its socket without being copied, so that the
/// generator costs less than any proxy; the first answer of a tunnel is still compared.
const LARGE: usize = 32 * 1024;

/// How a load of echoes is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of payload.
    pub(crate) size: usize,
    /// Open tunnels.
    pub(crate) tunnels: usize,
    /// Messages per second over all tunnels; none for as many as go.
    pub(crate) per_second: Option<u32>,
}

/// Run the load; an operation is a message there and back.
pub(crate) fn run(to: &Door, shape: Shape, mut meter: Meter<'_>) -> Result<Window> {
    let mut load = Load::open(to, shape)?;
    if load.timer.is_none() {
        for token in 0..load.tunnels.len() {
            load.send(token)?;
        }
    }
    let mut ready = Vec::new();
    loop {
        load.poller.wait(&mut ready, Some(GLANCE))?;
        for event in &ready {
            if event.token == TIMER { load.on_timer()? } else { meter.count(load.act(*event)?) }
        }
        if let Some(window) = meter.look()? {
            return Ok(window);
        }
    }
}

impl Load {
    fn open(to: &Door, shape: Shape) -> Result<Self> {
        let payload = ws::payload(shape.size);
        let (message, answer) = (ws::message(&payload, true), ws::message(&payload, false));
        let poller = Poller::new()?;
        let mut sources = Sources::new();
        let mut tunnels = Vec::new();
        for token in 0..shape.tunnels {
            let mut stream = sources.tunnel(to, "/ws/echo")?;
            check_echo(&mut stream, &message, &answer)?;
            poller.add(&stream, token, Interest::Read)?;
            tunnels.push(Tunnel { stream, sent: 0, got: 0, idle: true, writing: false });
        }
        let timer = shape.per_second.map(timer).transpose()?;
        if let Some(timer) = &timer {
            poller.add(timer, TIMER, Interest::Read)?;
        }
        let buffer = vec![0; 256 * 1024];
        Ok(Self { poller, tunnels, message, answer: answer.len(), buffer, timer, turn: 0 })
    }

    /// Begin an exchange on an idle tunnel.
    fn send(&mut self, token: usize) -> Result<()> {
        let Some(tunnel) = self.tunnels.get_mut(token) else { return Ok(()) };
        tunnel.idle = false;
        tunnel.sent = 0;
        tunnel.got = 0;
        self.write(token)
    }

    fn write(&mut self, token: usize) -> Result<()> {
        let Some(tunnel) = self.tunnels.get_mut(token) else { return Ok(()) };
        let rest = self.message.get(tunnel.sent..).unwrap_or_default();
        match tunnel.stream.write(rest) {
            Ok(length) => tunnel.sent += length,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e).during("send a message"),
        }
        let writing = tunnel.sent < self.message.len() || tunnel.stream.holds_back();
        if writing != tunnel.writing {
            tunnel.writing = writing;
            let interest = if writing { Interest::Both } else { Interest::Read };
            self.poller.change(&tunnel.stream, token, interest)?;
        }
        Ok(())
    }

    /// One step of a tunnel; answers the number of exchanges that it completed.
    fn act(&mut self, event: Ready) -> Result<u64> {
        let Some(tunnel) = self.tunnels.get_mut(event.token) else { return Ok(0) };
        if event.writable && tunnel.writing {
            self.write(event.token)?;
        }
        let Some(tunnel) = self.tunnels.get_mut(event.token) else { return Ok(0) };
        if !event.readable {
            return Ok(0);
        }
        let large = self.answer >= LARGE;
        let read = if large { tunnel.stream.discard(&mut self.buffer) } else { tunnel.stream.read(&mut self.buffer) };
        let length = match read {
            Ok(0) => return Err(BenchError::Answer("a tunnel was closed".into())),
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(e) => return Err(e).during("read a message"),
        };
        if !large && tunnel.got == 0 && self.buffer.first() != Some(&0x82) {
            return Err(BenchError::Answer("an echo does not begin as a binary frame".into()));
        }
        tunnel.got += length;
        if tunnel.got > self.answer {
            return Err(BenchError::Answer("an echo is longer than its message".into()));
        }
        if tunnel.got < self.answer {
            return Ok(0);
        }
        tunnel.idle = true;
        if self.timer.is_none() {
            self.send(event.token)?;
        }
        Ok(1)
    }

    /// Send as many messages as are due, each on the next idle tunnel; what finds none idle
    /// is left out and shows in the rate.
    fn on_timer(&mut self) -> Result<()> {
        let mut due = [0; 8];
        let Some(timer) = &self.timer else { return Ok(()) };
        match rustix::io::read(timer, &mut due) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(e) => return Err(e).during("read a timer"),
        }
        for _ in 0..u64::from_ne_bytes(due).min(self.tunnels.len() as u64) {
            let count = self.tunnels.len();
            let next =
                (0..count).map(|i| (self.turn + i) % count).find(|i| self.tunnels.get(*i).is_some_and(|t| t.idle));
            let Some(token) = next else { break };
            self.turn = token + 1;
            self.send(token)?;
        }
        Ok(())
    }
}

fn timer(per_second: u32) -> Result<OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).during("timerfd_create")?;
    let period = Timespec { tv_sec: 0, tv_nsec: i64::from(1_000_000_000 / per_second.max(2)) };
    let setting = Itimerspec { it_interval: period, it_value: period };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting).during("timerfd_settime")?;
    Ok(timer)
}

/// One exchange, compared byte by byte.
pub(crate) fn check_echo(stream: &mut Wire, message: &[u8], answer: &[u8]) -> Result<()> {
    stream.set_blocking(true).during("blocking mode")?;
    stream.write_all(message).during("send a message")?;
    stream.flush().during("send a message")?;
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).during("read an echo")?;
    if got != answer {
        return Err(BenchError::Answer("an echo differs from its message".into()));
    }
    stream.set_blocking(false).during("non-blocking mode")
}
