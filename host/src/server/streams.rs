//! From a configuration to the streams of its listeners.

use std::sync::Arc;

use super::StartError;
use crate::config::{self, Config};
use crate::observe::{LogFiles, Logs, Subject};
use crate::snapshot::Snapshot;
use crate::streams::{Here, Parts, Rooms, Stream};
use crate::upstream::Shared;

/// Make the streams ready that lead to the upstreams of a snapshot; by listener, in the order of
/// the configuration.
///
/// # Errors
/// The access log that cannot be opened.
pub(super) fn streams(
    config: &Config,
    snapshot: &Snapshot,
    files: &Arc<LogFiles>,
    shared: &Shared,
    rooms: &Rooms,
) -> Result<Vec<Option<Here>>, StartError> {
    let mut all: Vec<(&config::Stream, Arc<Stream>)> = Vec::with_capacity(config.streams.len());
    for stream in &config.streams {
        // Every index was made with its upstream.
        let upstream = config.upstreams.get(stream.upstream).and_then(|found| snapshot.upstreams.get(&found.name));
        let Some(upstream) = upstream.map(Arc::clone) else { continue };
        let parts = Parts {
            upstream,
            tally: shared.tallies.of(Subject::Stream(Arc::clone(&stream.name))),
            logs: Logs::open(&stream.access_logs, files, &config.maps).map_err(StartError::AccessLog)?,
            zones: &snapshot.zones,
            rooms,
        };
        all.push((stream, Arc::new(Stream::new(stream, parts))));
    }
    Ok(config.listeners.iter().map(|listener| Here::new(listener.streams.as_ref()?, &all)).collect())
}
