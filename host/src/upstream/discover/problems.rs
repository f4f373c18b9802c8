//! Names that must have an answer before a configuration is taken into use.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::Shared;
use super::entry;
use super::names::Entry;
use crate::config::{Lookup, Problem, Resolve, Source, Upstream};

/// Ask for the names of these upstreams of which nothing is known, all at once, and wait for the
/// answers; those that need not have one are left out. Gives one problem for each name without
/// an answer, where it stands in the configuration.
///
/// Blocks this thread for at most the resolver's timeout, and needs no runtime.
pub fn problems(upstreams: &[Upstream], shared: &Shared) -> Vec<Problem> {
    let peers = upstreams.iter().flat_map(|upstream| &upstream.peers);
    let lookups = peers.filter_map(|peer| match &peer.source {
        Source::Name(lookup) if lookup.resolve != Resolve::Lazy => Some(lookup),
        _ => None,
    });
    let wanted: Vec<(&Arc<Lookup>, Arc<Entry>)> = lookups.map(|lookup| (lookup, entry(lookup, shared))).collect();
    // What is known and followed is asked anew when its time is over, by its task.
    let due = wanted.iter().filter(|(l, entry)| l.resolve == Resolve::Once || entry.addresses().is_none());
    let due: Vec<Arc<Entry>> = due.map(|(_, entry)| Arc::clone(entry)).collect();
    if !due.is_empty()
        && let Err(error) = ask_all(due)
    {
        tracing::error!(%error, "cannot look up names");
    }
    let unknown = wanted.into_iter().filter(|(_, entry)| entry.addresses().is_none());
    unknown.map(|(lookup, entry)| problem(lookup, &entry)).collect()
}

/// On a thread of its own, since this one may be within a runtime, which must not wait.
fn ask_all(due: Vec<Arc<Entry>>) -> std::io::Result<()> {
    let asking = std::thread::Builder::new().name("names".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut asking: JoinSet<()> = due.into_iter().map(|entry| async move { entry.ask().await }).collect();
            while asking.join_next().await.is_some() {}
        });
        Ok(())
    })?;
    asking.join().unwrap_or_else(|_panicked| Err(std::io::Error::other("the thread that asks has panicked")))
}

fn problem(lookup: &Lookup, entry: &Entry) -> Problem {
    let why = entry.state().error.map(|(failure, _)| failure.to_string());
    Problem {
        file: Arc::clone(&lookup.place.file),
        line: lookup.place.line,
        column: lookup.place.column,
        key: lookup.place.path.clone(),
        message: format!("cannot resolve \"{}\": {}", lookup.question.name(), why.unwrap_or_default()),
        hint: Some("a peer with resolve = \"lazy\" need not have an address at the start".to_owned()),
    }
}
