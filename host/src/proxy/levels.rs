//! Which requests have a log level of their own: those of some clients, and of some routes.

use super::exchange::Exchange;
use super::{Connection, Snapshot};
use crate::observe::level;

/// A client that is looked at has all of its requests told of. nginx: `debug_connection`.
pub(super) fn of_client(connection: &Connection, snapshot: &Snapshot) {
    if is_looked_at(connection, snapshot) {
        level::set(tracing::level_filters::LevelFilter::DEBUG);
    }
}

/// The route's own level, unless the client is looked at. nginx: `error_log` in a `location`.
pub(super) fn of_route(connection: &Connection, exchange: &Exchange) {
    let own = exchange.target.as_ref().and_then(|target| target.route.log_level);
    if let Some(level) = own.filter(|_| !is_looked_at(connection, &exchange.snapshot)) {
        level::set(level);
    }
}

fn is_looked_at(connection: &Connection, snapshot: &Snapshot) -> bool {
    let client = connection.address().ip();
    snapshot.debug_clients.iter().any(|range| range.contains(client))
}
