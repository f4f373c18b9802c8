//! A tunnel's life, from the switch to its end.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rustix::net::{Shutdown, shutdown};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::flow::{Flow, State, Step};
use super::registry::Entry;
use super::{End, Opening, Terms};

/// Two streams and the two flows between them.
struct Tunnel {
    client: TcpStream,
    upstream: TcpStream,
    up: Flow,
    down: Flow,
    half_close: bool,
    /// Which side ended first.
    first: Option<End>,
}

/// Run a tunnel to its end, then write its record. `early` is what the client sent behind
/// its handshake.
pub async fn run(client: TcpStream, early: Bytes, opening: Opening, entry: Entry) {
    let Opening { upstream, early: early_upstream, terms, record } = opening;
    let mut tunnel = Tunnel {
        client,
        upstream,
        up: Flow::new(early),
        down: Flow::new(early_upstream),
        half_close: terms.half_close,
        first: None,
    };
    let end = live(&mut tunnel, terms, &entry).await;
    // Out of the registry before the record is written: who reads the log finds it gone.
    drop(entry);
    if let Some(mut record) = record {
        record.bytes_in = tunnel.up.moved;
        record.bytes_out = tunnel.down.moved;
        record.finish(end.code());
    }
}

async fn live(tunnel: &mut Tunnel, terms: Terms, entry: &Entry) -> End {
    let mut told = pin!(entry.control.told());
    let mut listens = false;
    let mut active = coarse();
    let mut timer = pin!(sleep_until(Instant::now() + terms.idle));
    let mut moved = 0;
    poll_fn(|cx| {
        // The task's waker is the same all its life, so the two that wait for something rare are
        // polled once, and from then on only looked at.
        let first = !std::mem::replace(&mut listens, true);
        if first && told.as_mut().poll(cx).is_ready() || entry.control.is_told_to_end() {
            return Poll::Ready(End::Drain);
        }
        if let Some(end) = tunnel.step(cx) {
            return Poll::Ready(end);
        }
        if tunnel.moved() != moved {
            moved = tunnel.moved();
            active = coarse();
        }
        // The timer is moved only when it fires, not at each message.
        if first || timer.is_elapsed() {
            while timer.as_mut().poll(cx).is_ready() {
                let quiet = coarse().saturating_sub(active);
                if quiet >= terms.idle {
                    return Poll::Ready(End::Idle);
                }
                timer.as_mut().reset(Instant::now() + terms.idle.saturating_sub(quiet) + GRAIN);
            }
        }
        Poll::Pending
    })
    .await
}

/// The grain of [`coarse`]: a tick of the slowest usual kernel.
const GRAIN: Duration = Duration::from_millis(10);

/// The time at the kernel's last tick: five times cheaper than the exact one, and looked at for
/// each message.
fn coarse() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

impl Tunnel {
    fn moved(&self) -> u64 {
        self.up.moved + self.down.moved
    }

    /// Move what can be moved now; some where the tunnel has ended.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let up = self.up.step(cx, &mut self.client, &mut self.upstream);
        if up == Step::Over {
            self.over(End::Client);
        }
        let down = self.down.step(cx, &mut self.upstream, &mut self.client);
        if down == Step::Over {
            self.over(End::Upstream);
        }
        let first = self.first?;
        let both = up == Step::Over && down == Step::Over;
        let lives_on = self.half_close && !both && matches!(first, End::Client | End::Upstream);
        // What had arrived from the other side when the first ended is delivered; then, as in
        // nginx, both end.
        let delivers = up == Step::Blocked || down == Step::Blocked;
        (!lives_on && !delivers).then_some(first)
    }

    /// A flow is over; the first one says why the tunnel ends.
    fn over(&mut self, by: End) {
        let (flow, sink) = match by {
            End::Client => (&mut self.up, &self.upstream),
            _ => (&mut self.down, &self.client),
        };
        if std::mem::replace(&mut flow.noticed, true) {
            return;
        }
        let end = match (by, flow.state) {
            (End::Client, State::SourceFailed) | (End::Upstream, State::SinkFailed) => End::ClientReset,
            (End::Upstream, State::SourceFailed) | (End::Client, State::SinkFailed) => End::UpstreamReset,
            _ => by,
        };
        self.first.get_or_insert(end);
        if self.half_close && flow.state == State::Ended {
            // A side that is gone needs no goodbye.
            let _gone = shutdown(sink, Shutdown::Write);
        }
    }
}
