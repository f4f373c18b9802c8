//! Access logs: lines about exchanges and tunnels, by nginx's variables. nginx: `access_log`.
//!
//! What lines say of the request is copied when the route is known ([`Pending`]), in one
//! piece of memory; the rest is known at the end, when the lines are made.

mod escape;
mod facts;
mod file;
mod format;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use escape::Escape;
pub use file::{LogFile, LogFiles};
pub use format::Format;

use facts::Facts;

use crate::config::{self, LogTarget, VariableKind, variable_kind};
use crate::hook::{Builtins, Maps, Moment, Outcome, Template, Values, View};
use crate::message::Fields;

/// The access logs of a route, and which variables they need.
#[derive(Debug)]
pub struct Logs {
    logs: Box<[Log]>,
    slots: Box<[Slot]>,
    maps: Arc<Maps>,
}

#[derive(Debug)]
struct Log {
    file: Arc<LogFile>,
    format: Arc<Format>,
    condition: Option<Template>,
    tunnel_opening: bool,
    tunnel_interval: Option<Duration>,
}

/// A variable whose value must be copied before it is gone.
#[derive(Debug)]
struct Slot {
    name: Box<str>,
    source: Source,
}

/// Where such a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Request,
    /// `$sent_http_NAME`: the answer as the client gets it.
    Sent,
    /// `$upstream_http_NAME`: the answer as the peer gave it.
    Upstream,
    /// A plugin, or a capture of the route.
    Set,
}

/// Lines that will be written of one exchange.
#[derive(Debug)]
pub struct Pending {
    logs: Arc<Logs>,
    facts: Facts,
    builtins: &'static dyn Builtins,
}

thread_local! {
    /// The line being written.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Logs {
    /// Open the logs of a route; none where it has none.
    ///
    /// # Errors
    /// Where a file cannot be opened for appending.
    pub fn open(
        config: &[config::AccessLog],
        files: &Arc<LogFiles>,
        maps: &Arc<Maps>,
    ) -> io::Result<Option<Arc<Self>>> {
        let mut logs = Vec::with_capacity(config.len());
        let mut slots = Slots { maps, slots: Vec::new(), seen: Vec::new() };
        for log in config {
            let path = match &log.target {
                LogTarget::Off => continue,
                LogTarget::Stdout => None,
                LogTarget::File(path) => Some(path.as_path()),
            };
            log.format.variables().into_iter().for_each(|name| slots.need(name));
            log.condition.iter().flat_map(Template::variables).for_each(|name| slots.need(name));
            logs.push(Log {
                file: files.open(path, log.buffer, log.flush)?,
                format: Arc::clone(&log.format),
                condition: log.condition.clone(),
                tunnel_opening: log.tunnel_opening,
                tunnel_interval: log.tunnel_interval,
            });
        }
        let slots = slots.slots.into();
        Ok((!logs.is_empty()).then(|| Arc::new(Self { logs: logs.into(), slots, maps: Arc::clone(maps) })))
    }

    /// Copy out of a request what its lines will say.
    pub fn begin(self: &Arc<Self>, view: &View) -> Pending {
        let mut facts = Facts::new(self.slots.len());
        for (number, slot) in self.slots.iter().enumerate() {
            if matches!(slot.source, Source::Request | Source::Set) {
                facts.set(number, |out| view.variable(&slot.name, out));
            }
        }
        Pending { logs: Arc::clone(self), facts, builtins: view.builtins }
    }

    fn slot(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| &*slot.name == name)
    }
}

/// Collects the variables that must be copied.
struct Slots<'a> {
    maps: &'a Maps,
    slots: Vec<Slot>,
    seen: Vec<usize>,
}

impl Slots<'_> {
    fn need(&mut self, name: &str) {
        let source = match variable_kind(name) {
            VariableKind::Request => Source::Request,
            VariableKind::Outcome => return,
            VariableKind::SentHeader => Source::Sent,
            VariableKind::UpstreamHeader => Source::Upstream,
            VariableKind::Other => match self.maps.find(name) {
                Some(map) if self.seen.contains(&map) => return,
                Some(map) => {
                    self.seen.push(map);
                    self.maps.reads(map).for_each(|name| self.need(name));
                    return;
                }
                None => Source::Set,
            },
        };
        if !self.slots.iter().any(|slot| &*slot.name == name) {
            self.slots.push(Slot { name: name.into(), source });
        }
    }
}

impl Pending {
    /// A plugin gave a variable a value, or a later phase a built-in one.
    pub fn set(&mut self, name: &str, value: &str) {
        let can_be_set = |slot: &Slot| matches!(slot.source, Source::Request | Source::Set);
        let slot = self.logs.slots.iter().position(|slot| can_be_set(slot) && &*slot.name == name);
        if let Some(slot) = slot {
            self.facts.set(slot, |out| {
                out.extend_from_slice(value.as_bytes());
                true
            });
        }
    }

    /// The peer answered with these headers.
    pub fn upstream_headers(&mut self, headers: &Fields) {
        self.headers(Source::Upstream, "upstream_http_", headers);
    }

    /// The client gets these headers.
    pub fn sent_headers(&mut self, headers: &Fields) {
        self.headers(Source::Sent, "sent_http_", headers);
    }

    fn headers(&mut self, source: Source, prefix: &str, headers: &Fields) {
        for (number, slot) in self.logs.slots.iter().enumerate().filter(|(_, slot)| slot.source == source) {
            let name = slot.name.strip_prefix(prefix).unwrap_or_default();
            self.facts.set(number, |out| self.builtins.header(headers, name, out));
        }
    }

    /// How often a tunnel's life is to be logged; none where it is not.
    pub fn tunnel_interval(&self) -> Option<Duration> {
        self.logs.logs.iter().filter_map(|log| log.tunnel_interval).min()
    }

    /// Write the lines that are due now.
    pub fn write(&self, outcome: &Outcome) {
        let values = Line { pending: self, outcome };
        for log in &self.logs.logs {
            let is_due = match outcome.tunnel {
                Some(Moment::Open) => log.tunnel_opening,
                Some(Moment::Alive) => log.tunnel_interval.is_some(),
                Some(Moment::End) | None => true,
            };
            if is_due {
                log.write(&values);
            }
        }
    }
}

impl Log {
    fn write(&self, values: &Line<'_>) {
        LINE.with_borrow_mut(|line| {
            if let Some(condition) = &self.condition {
                line.clear();
                condition.render_from(values, line);
                // nginx: `if=` with an empty string or "0" is no.
                if matches!(line.as_slice(), b"" | b"0") {
                    return;
                }
            }
            line.clear();
            self.format.write(values, line);
            line.push(b'\n');
            self.file.append(line);
        });
    }
}

/// The variables of one line.
struct Line<'a> {
    pending: &'a Pending,
    outcome: &'a Outcome,
}

impl Values for Line<'_> {
    fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let Pending { logs, facts, builtins } = self.pending;
        if let Some(slot) = logs.slot(name) {
            let Some(value) = facts.get(slot) else { return false };
            if name == "request_length" {
                // Of the request only the head was there when its length was noted.
                return length(value, self.outcome.bytes_in, out);
            }
            out.extend_from_slice(value);
            return true;
        }
        if builtins.outcome(self.outcome, name, out) {
            return true;
        }
        let Some(map) = logs.maps.find(name) else { return false };
        logs.maps.put(map, self, out);
        true
    }
}

fn length(head: &[u8], body: u64, out: &mut Vec<u8>) -> bool {
    let head = std::str::from_utf8(head).ok().and_then(|head| head.parse::<u64>().ok()).unwrap_or_default();
    // Writing to memory does not fail.
    io::Write::write_fmt(out, format_args!("{}", head + body)).is_ok()
}
