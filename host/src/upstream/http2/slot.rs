//! A place for one stream on a connection.

use std::sync::Arc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::Request;
use http::uri::Scheme;

use super::connection::Connection;
use super::pool;

/// A place for one stream on a connection; given back when it is dropped.
pub struct Slot {
    connection: Arc<Connection>,
    /// Whether the connection had served others.
    reused: bool,
}

impl Slot {
    /// A place on a connection that has one free.
    pub(super) fn take(connection: &Arc<Connection>) -> Self {
        let reused = connection.begin_stream();
        Self { connection: Arc::clone(connection), reused }
    }

    /// Whether the connection had served others before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether the peer offers tunnels (RFC 8441 §3).
    pub fn takes_tunnels(&self) -> bool {
        self.connection.takes_tunnels()
    }

    /// What `:scheme` is.
    pub(super) fn scheme(&self) -> Scheme {
        self.connection.scheme()
    }

    /// Begin the stream.
    pub(super) fn open(
        &self,
        request: Request<()>,
        ended: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.connection.requests().send_request(request, ended)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.connection.end_stream() {
            pool::eased(&self.connection);
        }
    }
}
