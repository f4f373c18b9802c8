//! Requests that a plugin makes itself. `plugin` takes them from the guest, `server` sends
//! them: neither knows the other's side.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::message::{FieldName, FieldValue, Fields};

/// A request of a plugin, checked: nothing in it can be anything but one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// Where to: `upstream:NAME`, or `http://HOST:PORT` in lower case with the port.
    pub destination: String,
    /// Path and query.
    pub target: String,
    /// Header lines, without framing.
    pub fields: Vec<(FieldName, FieldValue)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long the whole may take; none for no limit but the call's deadline.
    pub timeout: Option<Duration>,
    /// Bytes of the answer's body that are wanted; 0 for none, whatever its length is.
    pub max_body: usize,
}

/// The answer to it.
#[derive(Debug, Clone)]
pub struct FetchResponse {
    /// The status.
    pub status: StatusCode,
    /// The header lines.
    pub fields: Fields,
    /// The body, whole; empty where none was wanted.
    pub body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The destination is not granted.
    #[error("denied: {0}")]
    Denied(String),
    /// The request cannot be sent.
    #[error("invalid: {0}")]
    Invalid(String),
    /// No connection could be made.
    #[error("no connection: {0}")]
    Connect(String),
    /// The request's own time has passed.
    #[error("timed out")]
    Timeout,
    /// The connection broke off.
    #[error("broken off: {0}")]
    Closed(String),
    /// What came is not an answer.
    #[error("not an answer: {0}")]
    Protocol(String),
    /// A body is larger than it may be.
    #[error("too large")]
    TooLarge,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// An answer that will come.
pub type Fetching = Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send>>;

/// Sends the requests of one plugin, to what it is granted.
pub trait Fetch: Send + Sync {
    /// Send a request. Dropping the answer gives it up.
    fn fetch(&self, request: FetchRequest) -> Fetching;
}
