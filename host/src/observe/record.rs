//! The record of one exchange: begun with its head, finished exactly once.

use std::sync::Arc;

use tokio::time::Instant;

use super::tally::Counted;
use super::{Metrics, Pending, Tally};
use crate::body::Meter;
use crate::hook::{Counts, Moment, Outcome, Plugin, ResponseView, Summary, Try, View};
use crate::limit::Slot;

/// The cause of an exchange whose client left before it was done.
const GONE: &str = "downstream.gone";
/// nginx's status for a client that left before it was answered: only ever logged.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known of one exchange so far. Finishing it counts it, writes the access log and
/// calls the `access-log` hooks; dropping it unfinished does so for a client that left.
pub struct Record {
    /// Bytes to the client after the head.
    pub bytes_out: u64,
    /// Bytes from the client after the head, where no meter counts them.
    pub bytes_in: u64,
    /// Counts the client's body.
    pub meter: Option<Arc<Meter>>,
    /// The status sent; 0 before.
    pub status: u16,
    /// The peer that was asked.
    pub upstream: Option<Arc<str>>,
    /// Whether a tunnel was opened.
    pub tunnel: bool,
    /// Why it failed, where the answer itself says so.
    pub cause: Option<&'static str>,
    /// Messages that were delivered; none where nobody looked into the tunnel.
    pub messages: Option<Counts>,
    /// The code of the close frame that ended the tunnel, where one was seen.
    pub close_code: Option<u16>,
    /// Whether it is known where it is counted and logged.
    pub placed: bool,
    /// The lines that access logs will have of it; none where nothing is logged.
    pub log: Option<Pending>,
    /// The peers that were asked, in order; see [`Record::asks`].
    pub tries: Vec<Try>,
    /// Bytes of the answer's head.
    pub head_out: u64,
    /// What `access-log` hooks will be told; none where there are none.
    pub after: Option<After>,
    /// Its places among what is open at once; free when this is dropped.
    pub slots: Vec<Slot>,
    site: Option<Counted>,
    peer: Option<Counted>,
    started: Instant,
    metrics: Arc<Metrics>,
    finished: bool,
    /// Whether it is of a stream's connection, which is no request.
    is_stream: bool,
}

/// What the `access-log` hooks of an exchange need.
pub struct After {
    /// The plugins to tell.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// The request.
    pub view: Arc<View>,
    /// The response's head.
    pub response: Arc<ResponseView>,
}

impl Record {
    /// Begin the record of an exchange.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        metrics.requests.add(1);
        Self::begin(metrics, Instant::now(), false)
    }

    /// Begin the record of a stream's connection, which was accepted then.
    pub fn of_stream(metrics: Arc<Metrics>, accepted: Instant) -> Self {
        metrics.streams.add(1);
        metrics.streams_open.add(1);
        Self::begin(metrics, accepted, true)
    }

    fn begin(metrics: Arc<Metrics>, started: Instant, is_stream: bool) -> Self {
        Self {
            bytes_out: 0,
            bytes_in: 0,
            meter: None,
            status: 0,
            upstream: None,
            tunnel: false,
            cause: None,
            messages: None,
            close_code: None,
            placed: false,
            log: None,
            tries: Vec::new(),
            head_out: 0,
            after: None,
            slots: Vec::new(),
            site: None,
            peer: None,
            started,
            metrics,
            finished: false,
            is_stream,
        }
    }

    /// The exchange ended. `cause` is `done` or an error's code.
    pub fn finish(mut self: Box<Self>, cause: &'static str) {
        self.close(cause);
    }

    /// When the head was there.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// It belongs to this site.
    pub fn belongs(&mut self, site: &Arc<Tally>) {
        self.site = Some(site.enter());
    }

    /// The proxy turns to a peer: a try begins.
    pub fn asks(&mut self, peer: &Arc<str>, tally: &Arc<Tally>) {
        self.end_try();
        self.upstream = Some(Arc::clone(peer));
        // One is the rule, and a vector's own first step is four.
        self.tries.reserve_exact(1);
        self.tries.push(Try::new(Arc::clone(peer)));
        self.peer = Some(tally.enter());
    }

    /// Since then there was a connection to the peer.
    pub fn connected(&mut self, at: Instant) {
        if let Some(last) = self.tries.last_mut() {
            last.connect.get_or_insert(at.saturating_duration_since(last.began));
        }
    }

    /// The head of the peer's answer is there.
    pub fn answered(&mut self, status: u16) {
        if let Some(last) = self.tries.last_mut() {
            last.status = status;
            last.header.get_or_insert(last.began.elapsed());
        }
    }

    /// The try failed, which the proxy takes for this status.
    pub fn failed(&mut self, status: u16) {
        if let Some(last) = self.tries.last_mut() {
            last.status = status;
        }
        if let Some(peer) = &self.peer {
            peer.failed();
        }
        self.end_try();
    }

    /// The peer's answer had this status, and another peer is asked in its place.
    pub fn passed_over(&mut self, status: u16, failure: bool) {
        self.answered(status);
        self.end_try();
        if let Some(peer) = self.peer.take() {
            if failure {
                peer.failed();
            }
            peer.ended(status, 0, 0);
        }
    }

    fn end_try(&mut self) {
        if let Some(last) = self.tries.last_mut() {
            last.response.get_or_insert(last.began.elapsed());
        }
    }

    /// The tunnel is at this moment of its life, with so many bytes each way: log it where
    /// that is asked for.
    pub fn tunnel(&mut self, moment: Moment, bytes_in: u64, bytes_out: u64) {
        for counted in self.site.iter_mut().chain(&mut self.peer) {
            counted.tunnel();
        }
        if let Some(log) = &self.log {
            let outcome = Outcome { bytes_in, bytes_out, tunnel: Some(moment), ..self.outcome("", self.tries.clone()) };
            log.write(&outcome);
        }
    }

    /// How often the tunnel's life is to be logged; none where it is not.
    pub fn tunnel_interval(&self) -> Option<std::time::Duration> {
        self.log.as_ref().and_then(Pending::tunnel_interval)
    }

    fn outcome(&self, cause: &'static str, tries: Vec<Try>) -> Outcome {
        Outcome {
            started: Some(self.started),
            duration: Some(self.started.elapsed()),
            status: self.status,
            tries,
            cause,
            tunnel: self.tunnel.then_some(Moment::End),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            head_out: self.head_out,
            messages: self.messages,
            close_code: self.close_code,
        }
    }

    fn close(&mut self, cause: &'static str) {
        self.finished = true;
        if self.status == 0 {
            self.status = CLIENT_CLOSED_REQUEST;
        }
        if let Some(meter) = &self.meter {
            self.bytes_in += meter.bytes();
        }
        let summary = Summary {
            status: self.status,
            upstream: self.upstream.clone(),
            tunnel: self.tunnel,
            cause: self.cause.unwrap_or(cause),
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        };
        if self.is_stream {
            self.metrics.stream_ended(&summary);
        } else {
            self.metrics.exchange_ended(&summary);
        }
        // Gone from what is active before the line is written: who reads the log finds it so.
        if let Some(site) = self.site.take() {
            site.ended(self.status, self.bytes_in, self.bytes_out);
        }
        let answered = self.tries.last().map_or(self.status, |last| last.status);
        if let Some(peer) = self.peer.take().filter(|_| answered != 0) {
            peer.ended(answered, self.bytes_in, self.bytes_out);
        }
        if let Some(log) = self.log.take() {
            self.end_try();
            let tries = std::mem::take(&mut self.tries);
            log.write(&self.outcome(summary.cause, tries));
        }
        if let Some(after) = self.after.take() {
            after.tell(summary);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.finished {
            self.close(GONE);
        }
    }
}

impl After {
    /// Call the hooks in a task of their own: the request is over, and nobody waits.
    fn tell(self, summary: Summary) {
        // Outside a worker (the last drops of a stopped server) there is nowhere to run them.
        let Ok(worker) = tokio::runtime::Handle::try_current() else { return };
        worker.spawn(async move {
            for plugin in self.plugins {
                // A failure was counted and logged where it happened; there is no one to answer.
                let _told = plugin.on_end(&self.view, &self.response, &summary).answer().await;
            }
        });
    }
}
