//! A component that answers a route's requests itself, in an upstream's place.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{HookFailure, View};
use crate::message::Fields;

/// A part of a body.
#[derive(Debug)]
pub enum Part {
    /// Bytes, at least one.
    Data(Bytes),
    /// The end, with trailers.
    Trailers(Fields),
}

/// A body on its way to a handler or from it. It is asked for one part after the other, so whoever
/// takes them slowly slows the other side down.
pub trait Parts: Send {
    /// The next part; none at the end. Not asked again after an end or an error, which is why the
    /// body broke off.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, String>>>;
}

/// A request for a handler.
pub struct HandlerRequest {
    /// The request as other hooks see it.
    pub view: Arc<View>,
    /// Its method.
    pub method: Method,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host and port; never empty.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// Its headers, without those of the connection.
    pub fields: Fields,
    /// Its body.
    pub body: Box<dyn Parts>,
}

/// A handler's answer.
pub struct HandlerAnswer {
    /// 200 to 599.
    pub status: StatusCode,
    /// Its headers, without framing.
    pub fields: Fields,
    /// How long the body is, where the handler says so.
    pub length: Option<u64>,
    /// Its body. Dropping it before its end ends the handler's call.
    pub body: Box<dyn Parts>,
}

/// An answer that will come. Dropping it ends the handler's call.
pub type Handling = Pin<Box<dyn Future<Output = Result<HandlerAnswer, HookFailure>> + Send>>;
