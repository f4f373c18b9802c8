//! A tunnel's life, from the switch to its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep, sleep_until};

use super::access::Watch;
use super::ends::HalfClose;
use super::registry::{Entry, Registry};
use super::sides::{Joined as _, Look, Sides};
use super::told::{self, Told};
use super::{End, Opening};
use crate::hook::{Counts, Moment};
use crate::observe::Record;
use crate::socket::Socket;
use crate::upstream::Lease;

/// What a tunnel has beside its sides, all its life.
struct Life {
    /// How long neither side may send anything.
    idle: Duration,
    entry: Entry,
    record: Option<Box<Record>>,
    lease: Lease,
    /// Boxed, as what follows, since a tunnel that has none of it has no room for it.
    told: Option<Box<told::Opened>>,
    watch: Option<Box<Watch>>,
    reports: Option<Box<Reports>>,
}

/// A tunnel that is open. As a future it runs to the tunnel's end, and then writes its record.
///
/// By hand, since it is most of a tunnel's memory: an `async` block would keep room for what it borrows and for
/// what it has let go of.
pub struct Running {
    sides: Sides,
    /// None once it is over.
    life: Option<Life>,
    pulse: Pulse,
}

/// What one look at a tunnel leaves for the next.
struct Pulse {
    timer: Pin<Box<Sleep>>,
    /// When a side did something last, by [`coarse`].
    active: Duration,
    /// [`Joined::activity`] then.
    moved: u64,
    begun: bool,
    dismissed: bool,
}

/// Open a tunnel, which is entered in the registry. `early` is what the client sent behind its handshake.
///
/// The opening is boxed so that who waits for the tunnel's end has no room for it.
pub fn run(client: Socket, early: Bytes, opening: Box<Opening>, registry: &Arc<Registry>) -> Running {
    let entry = registry.enter(&opening);
    let Opening { upstream, early: early_upstream, terms, mut record, lease, inspection, told, access, timer } =
        *opening;
    let follows = access.as_ref().and_then(|access| access.follows());
    let watch = access.map(|access| Box::new(Watch::new(access)));
    if let Some(record) = &mut record {
        record.tunnel(Moment::Open, 0, 0);
    }
    let told = told.map(Told::opened).map(Box::new);
    let half_close = HalfClose::of(terms.half_close, &client);
    let sides = Sides::join((client, early), (upstream, early_upstream), inspection, half_close, follows);
    let reports = record.as_ref().and_then(|record| record.tunnel_interval());
    let reports = reports.map(|every| Box::new(Reports::new(every)));
    let idle = terms.idle;
    let life = Life { idle, entry, record, lease, told, watch, reports };
    Running { sides, life: Some(life), pulse: Pulse::new(idle, timer) }
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { sides, life, pulse } = self.get_mut();
        let Some(living) = life else { return Poll::Ready(()) };
        let end = ready!(pulse.beat(cx, sides, living));
        sides.say_goodbye(cx, end);
        if let Some(life) = life.take() {
            life.over(end, sides);
        }
        Poll::Ready(())
    }
}

impl Life {
    /// The tunnel has ended: everyone who counts it is told.
    fn over(self, end: End, sides: &Sides) {
        let Self { entry, record, lease, told, watch, .. } = self;
        let ((up, down), messages, close_code) = (sides.bytes(), sides.messages(), sides.close_code());
        if let Some(watch) = watch {
            watch.ended(end);
        }
        drop(lease);
        // Out of the registry before the record is written: who reads the log finds it gone.
        drop(entry);
        if let Some(told) = told {
            told.ended(end, Counts { up, down }, messages, close_code);
        }
        if let Some(mut record) = record {
            record.bytes_in = up;
            record.bytes_out = down;
            record.messages = messages;
            record.close_code = close_code;
            record.finish(end.code());
        }
    }

    /// Log that the tunnel lives, where that is due. `first` is the first look.
    fn report(&mut self, cx: &mut Context<'_>, first: bool, (up, down): (u64, u64)) {
        if let (Some(reports), Some(record)) = (&mut self.reports, &mut self.record) {
            while reports.due(cx, first) {
                record.tunnel(Moment::Alive, up, down);
            }
        }
    }
}

impl Pulse {
    fn new(idle: Duration, timer: Option<Pin<Box<Sleep>>>) -> Self {
        let deadline = Instant::now() + idle;
        let timer = match timer {
            Some(mut timer) => {
                timer.as_mut().reset(deadline);
                timer
            }
            None => Box::pin(sleep_until(deadline)),
        };
        Self { timer, active: coarse(), moved: 0, begun: false, dismissed: false }
    }

    /// Move what can be moved now, and look whether the tunnel is to end.
    fn beat(&mut self, cx: &mut Context<'_>, tunnel: &mut Sides, life: &mut Life) -> Poll<End> {
        // The task's waker is the same all its life, so that those who wait for something rare are
        // given it once, and from then on only looked at.
        let first = !std::mem::replace(&mut self.begun, true);
        let control = &life.entry.control;
        if first {
            control.wakes(cx.waker());
        }
        match tunnel.look() {
            Look::Here => {}
            Look::Back(active) => (self.active, self.moved) = (active, tunnel.activity()),
            Look::Away => return Poll::Pending,
            Look::Gone => return Poll::Ready(End::UpstreamReset),
        }
        match (control.told_end(), control.closing()) {
            (None, _) => {}
            (Some(End::Revoked), Some(closing)) => {
                if !std::mem::replace(&mut self.dismissed, true) {
                    tunnel.dismiss(End::Revoked, closing);
                }
            }
            (Some(end), _) => return Poll::Ready(end),
        }
        if let Some(watch) = life.watch.as_mut().filter(|_| !self.dismissed)
            && let Some((end, closing)) = watch.poll(cx, &mut life.record)
        {
            self.dismissed = true;
            tunnel.dismiss(end, &closing);
        }
        if let Some(end) = tunnel.step(cx) {
            return Poll::Ready(end);
        }
        if tunnel.activity() != self.moved {
            self.moved = tunnel.activity();
            self.active = coarse();
        }
        life.report(cx, first, tunnel.bytes());
        self.rest(cx, first, life.idle).map(|()| End::Idle)
    }

    /// Whether nothing came for this long. The timer is moved only when it fires, not at each message.
    fn rest(&mut self, cx: &mut Context<'_>, first: bool, idle: Duration) -> Poll<()> {
        if !first && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let quiet = coarse().saturating_sub(self.active);
            if quiet >= idle {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(Instant::now() + idle.saturating_sub(quiet) + GRAIN);
        }
        Poll::Pending
    }
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
pub(super) fn coarse() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
