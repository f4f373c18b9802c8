//! What the hooks `request-body` and `response-body` are asked and answer.

use std::sync::Arc;

use bytes::Bytes;

use super::{Call, FieldEdit, LocalReply, OnFailure, ResponseView, View};
use crate::message::Fields;

/// Which of the two hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOf {
    /// `request-body`.
    Request,
    /// `response-body`.
    Response,
}

/// How a plugin wants to see a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyWish {
    /// Whole, if it has at most so many bytes; none for as many as the route allows.
    Whole(Option<u64>),
    /// In pieces, as they come.
    Chunks,
}

/// What becomes of a message whose body was shown whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyChanges {
    /// Edits of its headers.
    pub edits: Vec<FieldEdit>,
    /// Another body; none for the one that came.
    pub body: Option<Bytes>,
    /// Other trailers; none for those that came.
    pub trailers: Option<Fields>,
}

/// Why a body goes on no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStop {
    /// The client is given this, if it has no head yet; of requests only.
    Reply(LocalReply),
    /// For this reason.
    Abort(String),
}

/// What becomes of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// It goes on.
    Pass,
    /// This goes on in its place; nothing where it is empty.
    Replace(Bytes),
    /// Nothing more goes on.
    Stop(BodyStop),
}

/// What the end of a body becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndVerdict {
    /// It ends, behind these bytes, with other trailers if there are some here.
    End(Bytes, Option<Fields>),
    /// It does not end well.
    Stop(BodyStop),
}

/// A body to be judged whole.
#[derive(Debug, Clone)]
pub struct WholeBody {
    /// The request.
    pub view: Arc<View>,
    /// The answer's head; none of a request's body.
    pub response: Option<Arc<ResponseView>>,
    /// All bytes.
    pub bytes: Bytes,
    /// What stood behind them.
    pub trailers: Fields,
    /// The most bytes that another body in its place may have.
    pub room: usize,
}

/// One plugin's part in one body, from `open` until this is dropped, which tells the plugin.
pub trait BodySession: Send {
    /// The plugin's name.
    fn plugin(&self) -> &str;
    /// What a failure means: the exchange fails, or the rest passes unseen.
    fn on_failure(&self) -> OnFailure;
    /// How it wants to see the body.
    fn wish(&self) -> BodyWish;
    /// Ask about all of it.
    fn on_body(&mut self, body: WholeBody) -> Call<Result<BodyChanges, LocalReply>>;
    /// Ask about a piece.
    fn on_chunk(&mut self, data: Bytes) -> Call<ChunkVerdict>;
    /// Ask about the end.
    fn on_end(&mut self, trailers: &Fields) -> Call<EndVerdict>;
}

/// What opening a body comes to; none where the plugin does not want to see it.
pub type OpenedBody = Option<Box<dyn BodySession>>;
