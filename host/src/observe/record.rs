//! The record of one exchange: begun with its head, finished exactly once.

use std::sync::Arc;

use tokio::time::Instant;

use super::{AccessLog, LogFacts, Metrics};
use crate::body::Meter;
use crate::hook::{Plugin, ResponseView, Summary, View};

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
    /// What the access log will say of the request; none where nothing is logged.
    pub log: Option<(Arc<AccessLog>, LogFacts)>,
    /// What `access-log` hooks will be told; none where there are none.
    pub after: Option<After>,
    started: Instant,
    metrics: Arc<Metrics>,
    finished: bool,
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
        Self {
            bytes_out: 0,
            bytes_in: 0,
            meter: None,
            status: 0,
            upstream: None,
            tunnel: false,
            cause: None,
            log: None,
            after: None,
            started: Instant::now(),
            metrics,
            finished: false,
        }
    }

    /// The exchange ended. `cause` is `done` or an error's code.
    pub fn finish(mut self: Box<Self>, cause: &'static str) {
        self.close(cause);
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
        self.metrics.exchange_ended(&summary);
        if let Some((log, facts)) = self.log.take() {
            log.write(&facts, &summary);
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
