//! One request and its answer, as it goes through the phases.

use std::sync::Arc;

use http::StatusCode;

use super::bodies::Replied;
use super::error_page::Shown;
use super::handshake::Upgrade;
use super::variables;
use crate::config::Coding;
use crate::hook::{ResponseView, View};
use crate::http1::BadLength;
use crate::message::Fields;
use crate::observe::{After, Record};
use crate::snapshot::{Route, Snapshot};
use crate::tunnel::Access;
use crate::tunnel::extension::Deflate;
use crate::upstream::Upstream;

/// One request and its answer.
pub(super) struct Exchange {
    /// The configuration that it runs by.
    pub(super) snapshot: Arc<Snapshot>,
    /// The request as hooks see it; changed between hook calls.
    pub(super) view: Arc<View>,
    /// What to ask the upstream for: path and query.
    pub(super) target_path: String,
    /// Whether it came without TLS where TLS is spoken.
    pub(super) misplaced: bool,
    /// Why it cannot be told where the request's body ends.
    pub(super) unframed: Option<BadLength>,
    /// Whether and how the client wants to leave HTTP.
    pub(super) upgrade: Upgrade,
    /// Where it goes: set by the route phase.
    pub(super) target: Option<Target>,
    /// Whether hook `response-headers` has begun: it is not asked twice.
    pub(super) answered: bool,
    /// Whether the answer is the proxy's own, such as a file.
    pub(super) local: bool,
    /// How often it went on by another path within the proxy.
    pub(super) turns: u8,
    /// The route that it goes on by, whatever a router would say.
    pub(super) next_route: Option<Arc<Route>>,
    /// What client and peer agreed on about the compression of messages.
    pub(super) deflate: Option<Deflate>,
    /// How the answer may be compressed.
    pub(super) coding: Option<Coding>,
    /// The client's headers, where an error page may need them.
    pub(super) sent: Option<Box<Fields>>,
    /// Whether a router gave a text that error pages leave alone.
    pub(super) spared: bool,
    /// The error page that is being made.
    pub(super) page: Option<Box<Shown>>,
    /// What the answer sets so that the client comes back to its peer: a Set-Cookie line's value.
    pub(super) sticky: Option<Vec<u8>>,
    /// What a plugin answers that sees the request's body on its way; none where none looks.
    pub(super) replied: Option<Replied>,
    /// What authorizers bound the tunnel to that it asks for; none where they did not.
    pub(super) access: Option<Box<Access>>,
    /// What will be logged; taken by whatever outlives the exchange.
    pub(super) record: Option<Box<Record>>,
}

/// Where a request goes.
#[derive(Clone)]
pub(super) struct Target {
    /// By which route.
    pub(super) route: Arc<Route>,
    /// To which upstream: the route's, or the one that the router named.
    pub(super) upstream: Arc<Upstream>,
}

impl Exchange {
    /// The request, to be changed. Hooks have let go of it by now; if one had not, it keeps
    /// what it saw and the change is made on a copy.
    pub(super) fn view_mut(&mut self) -> &mut View {
        Arc::make_mut(&mut self.view)
    }

    /// The record, with what is known once the head of an answer is: it outlives the exchange.
    pub(super) fn take_record(&mut self, status: StatusCode, headers: &Fields) -> Option<Box<Record>> {
        // One that a router answered, or that went nowhere, has not come to it yet.
        self.begin_log();
        let mut record = self.record.take()?;
        record.status = status.as_u16();
        if let Some(log) = &mut record.log {
            log.sent_headers(headers);
            record.head_out = variables::head_length(status, headers);
        }
        if let Some(target) = self.target.as_ref().filter(|t| !t.route.chains.access_log.is_empty()) {
            record.after = Some(After {
                plugins: target.route.chains.access_log.to_vec(),
                view: Arc::clone(&self.view),
                response: Arc::new(ResponseView { status, headers: headers.clone() }),
            });
        }
        Some(record)
    }

    /// Count the request for its site, and copy what access logs will say of it: once its route
    /// is known, or that there is none. Done once; it does nothing after that.
    pub(super) fn begin_log(&mut self) {
        let Some(record) = self.record.as_mut().filter(|record| !record.placed) else { return };
        record.placed = true;
        let logs = match &self.target {
            Some(target) => {
                record.belongs(&target.route.tally);
                target.route.logs.as_ref()
            }
            None => self.snapshot.logs.as_ref(),
        };
        record.log = logs.map(|logs| logs.begin(&self.view));
    }

    /// Put variables on the exchange; a later value of a name replaces an earlier one.
    pub(super) fn set_variables(&mut self, variables: Vec<(String, String)>) {
        if variables.is_empty() {
            return;
        }
        for (name, value) in variables {
            if let Some(log) = self.record.as_mut().and_then(|record| record.log.as_mut()) {
                log.set(&name, &value);
            }
            let held = &mut self.view_mut().variables;
            held.retain(|(n, _)| *n != name);
            held.push((name, value));
        }
    }
}
