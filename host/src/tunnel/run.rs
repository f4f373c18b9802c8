//! A tunnel's life, from the switch to its end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep, sleep_until};

use super::flow::{Flow, State, Step};
use super::registry::Entry;
use super::{End, Opening, Terms};
use crate::hook::Moment;
use crate::observe::Record;
use crate::socket::Socket;

/// Two streams and the two flows between them.
struct Tunnel {
    client: Socket,
    upstream: Socket,
    up: Flow,
    down: Flow,
    half_close: bool,
    /// Which side ended first.
    first: Option<End>,
    /// Whether that was a reset, or all the same as one.
    reset: bool,
}

/// Run a tunnel to its end, then write its record. `early` is what the client sent behind
/// its handshake.
pub async fn run(client: Socket, early: Bytes, opening: Opening, entry: Entry) {
    let Opening { upstream, early: early_upstream, terms, record, lease } = opening;
    let mut tunnel = Tunnel {
        client,
        upstream,
        up: Flow::new(early, terms.half_close),
        down: Flow::new(early_upstream, terms.half_close),
        half_close: terms.half_close,
        first: None,
        reset: false,
    };
    let mut record = record;
    if let Some(record) = &mut record {
        record.tunnel(Moment::Open, 0, 0);
    }
    let end = live(&mut tunnel, terms, &entry, &mut record).await;
    tunnel.say_goodbye(end);
    drop(lease);
    // Out of the registry before the record is written: who reads the log finds it gone.
    drop(entry);
    if let Some(mut record) = record {
        record.bytes_in = tunnel.up.moved;
        record.bytes_out = tunnel.down.moved;
        record.finish(end.code());
    }
}

async fn live(tunnel: &mut Tunnel, terms: Terms, entry: &Entry, record: &mut Option<Box<Record>>) -> End {
    let mut reports = record.as_ref().and_then(|record| record.tunnel_interval()).map(Reports::new);
    let mut told = pin!(entry.control.told());
    let mut listens = false;
    let mut active = coarse();
    let mut timer = pin!(sleep_until(Instant::now() + terms.idle));
    let mut moved = 0;
    poll_fn(|cx| {
        // The task's waker is the same all its life, so the two that wait for something rare are
        // polled once, and from then on only looked at.
        let first = !std::mem::replace(&mut listens, true);
        if first {
            let _told_already = told.as_mut().poll(cx);
        }
        if let Some(end) = entry.control.told_end() {
            return Poll::Ready(end);
        }
        if let Some(end) = tunnel.step(cx) {
            return Poll::Ready(end);
        }
        if tunnel.moved() != moved {
            moved = tunnel.moved();
            active = coarse();
        }
        if let (Some(reports), Some(record)) = (&mut reports, record.as_mut()) {
            while reports.due(cx, first) {
                record.tunnel(Moment::Alive, tunnel.up.moved, tunnel.down.moved);
            }
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

/// When a tunnel's life is logged next.
struct Reports {
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Reports {
    fn new(every: Duration) -> Self {
        Self { every, timer: Box::pin(sleep_until(Instant::now() + every)) }
    }

    /// Whether it is due now; then the time for the next runs. `first` is the first look,
    /// which leaves the task's waker.
    fn due(&mut self, cx: &mut Context<'_>, first: bool) -> bool {
        if !first && !self.timer.is_elapsed() || self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer.as_mut().reset(Instant::now() + self.every);
        // Polled again at once, so that the waker is left for the new time.
        self.timer.as_mut().poll(cx).is_pending()
    }
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
        let flow = match by {
            End::Client => &mut self.up,
            _ => &mut self.down,
        };
        if std::mem::replace(&mut flow.noticed, true) {
            return;
        }
        let end = match (by, flow.state) {
            (End::Client, State::SourceFailed | State::SourceTruncated) | (End::Upstream, State::SinkFailed) => {
                End::ClientReset
            }
            (End::Upstream, State::SourceFailed | State::SourceTruncated) | (End::Client, State::SinkFailed) => {
                End::UpstreamReset
            }
            _ => by,
        };
        if self.first.is_none() {
            self.first = Some(end);
            self.reset = matches!(flow.state, State::SourceFailed | State::SinkFailed);
        }
    }

    /// Tell each side that what it was sent is whole, unless it is not.
    fn say_goodbye(&mut self, end: End) {
        match end {
            End::Client | End::Upstream | End::Idle | End::Drain | End::PeerUnhealthy => {
                self.client.say_goodbye();
                self.upstream.say_goodbye();
            }
            // RFC 9113 §8.5: a reset of one side is one of the other.
            End::ClientReset if self.reset => self.upstream.reset(),
            End::UpstreamReset if self.reset => self.client.reset(),
            // RFC 8446 §6.1: a side must be able to tell that it was cut off.
            End::ClientReset | End::UpstreamReset => {}
        }
    }
}
