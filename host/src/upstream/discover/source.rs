//! Where peers come from, for operators.

use std::time::{Duration, Instant, SystemTime};

use super::super::Upstream;
use super::Member;
use crate::config::Resolve;

/// One name of an upstream, and what is known of it.
#[derive(Debug, Clone)]
pub struct SourceStatus {
    /// What is asked for: a host, or `SRV` and a service.
    pub question: String,
    /// `ttl`, `lazy` or `once`.
    pub resolve: &'static str,
    /// Its addresses now, as peers have them.
    pub addresses: Vec<String>,
    /// When the last answer came.
    pub resolved_at: Option<SystemTime>,
    /// Until the next question; none where none is asked again.
    pub next_in: Option<Duration>,
    /// What the last question came to, where it had no answer or not all of one, and when.
    pub error: Option<(String, SystemTime)>,
    /// Answers so far.
    pub answers: u64,
    /// Questions without an answer so far.
    pub failures: u64,
}

impl Upstream {
    /// The names that its peers come from; empty where all addresses are written.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.discovery.iter().flat_map(|discovery| &discovery.members).filter_map(status).collect()
    }
}

fn status(member: &Member) -> Option<SourceStatus> {
    let (lookup, entry) = member.name.as_ref()?;
    let state = entry.state();
    let found = state.addresses.as_deref().unwrap_or_default();
    let next = || state.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()));
    Some(SourceStatus {
        question: entry.question.to_string(),
        resolve: match lookup.resolve {
            Resolve::Ttl => "ttl",
            Resolve::Lazy => "lazy",
            Resolve::Once => "once",
        },
        addresses: super::expand(&member.config, lookup, found).map(|(_, address)| address.to_string()).collect(),
        resolved_at: state.resolved_at,
        next_in: (lookup.resolve != Resolve::Once).then(next),
        error: state.error.map(|(failure, at)| (failure.to_string(), at)),
        answers: entry.answers.get(),
        failures: entry.failures.get(),
    })
}
