//! Messages as the proxy passes them on: heads, whose lines keep their order and case.

mod fields;
mod name;
mod websocket;

use http::{Method, StatusCode, Version};

pub use fields::Fields;
pub(crate) use fields::Lines;
pub use name::{BadField, FieldName, FieldValue};
pub use websocket::{WEBSOCKET, accept_for, key_of};

/// The head of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method as sent.
    pub method: Method,
    /// The request target as sent: `/path?query`, `http://host/path`, `*` or `host:port`.
    pub target: String,
    /// The version of the client's protocol.
    pub version: Version,
    /// The header lines.
    pub fields: Fields,
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// What stands behind the status where that is not the usual phrase.
    pub reason: Option<Box<str>>,
    /// The header lines.
    pub fields: Fields,
}

impl ResponseHead {
    /// A head with the usual phrase.
    pub fn new(status: StatusCode, fields: Fields) -> Self {
        Self { status, reason: None, fields }
    }
}
