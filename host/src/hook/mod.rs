//! The hook contract as the core sees it: traits and values, without any ABI.
//!
//! `proxy` asks hooks through [`Plugin`]; `plugin` implements it over Wasm components;
//! tests implement it in plain Rust. A plugin serves any subset of the hooks and says
//! which in [`Plugin::hooks`]; the core never calls one that is absent.

mod access;
mod balance;
mod bodies;
mod chain;
mod exchange;
mod fetch;
mod fields;
mod guard;
mod handler;
mod kv;
mod maps;
mod messages;
mod only_with;
mod outcome;
mod own;
mod ranges;
mod template;

pub use access::{AccessTerms, LONGEST_LABEL, MOST_TAGS};
pub use balance::{Choice, PeerFacts, Peers};
pub use bodies::{
    BodyChanges, BodyOf, BodySession, BodyStop, BodyWish, ChunkVerdict, EndVerdict, OpenedBody, WholeBody,
};
pub use chain::{Chain, Chains, chain_of};
pub use exchange::{Arrival, Builtins, ResponseView, Summary, View};
pub use fetch::{Fetch, FetchError, FetchRequest, FetchResponse, Fetching};
pub use fields::{FRAMING, HANDSHAKE, ROUTE_OF_REPLY, is_hosts_own, is_one_of};
pub use guard::{Caps, Isolation, Quarantine};
pub use handler::{HandlerAnswer, HandlerRequest, Handling, Part, Parts};
pub use kv::{Kv, KvError, KvGrant, KvOperation, KvReply, KvValue};
pub use maps::{Kept, Map, Maps, Twice};
pub use messages::{
    Closing, Content, Counts, Interest, Judgement, Message, Outgoing, Session, SessionState, Sessions, Subscription,
    TunnelSummary, Way, is_close_code,
};
pub use only_with::OnlyWith;
pub use outcome::{Moment, Outcome, Try};
pub use own::Own;
pub use ranges::{NotShare, Ranges};
pub use template::{Piece, Template, TemplateError, Values, is_in_name};

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::StatusCode;

use crate::message::{FieldName, FieldValue};

/// One change of a head's headers; edits are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldEdit {
    /// Replace all values of the name by this one.
    Set(FieldName, FieldValue),
    /// Add one more value.
    Append(FieldName, FieldValue),
    /// Add the value only where the name is absent.
    SetDefault(FieldName, FieldValue),
    /// Remove every value of the name.
    Remove(FieldName),
}

/// An answer that the proxy gives itself because a plugin said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// 200 to 599.
    pub status: StatusCode,
    /// Header lines, without framing headers.
    pub fields: Vec<(FieldName, FieldValue)>,
    /// The body; empty for none.
    pub body: Bytes,
}

/// The answer of a hook that judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// No objection: ask the next plugin of the chain.
    Next,
    /// Accept, and ask no further plugin of this hook.
    Allow,
    /// Refuse, with this answer.
    Deny(LocalReply),
}

/// Where a router sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A route of the configuration by name.
    pub route: String,
    /// Another upstream than the route's.
    pub upstream: Option<String>,
    /// What to ask the upstream for, instead of what the client asked for.
    pub path_with_query: Option<String>,
    /// Variables for the exchange.
    pub variables: Vec<(String, String)>,
}

/// What an accepted request carries on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Variables for the exchange.
    pub variables: Vec<(String, String)>,
    /// Changes of the request's headers, made at once.
    pub edits: Vec<FieldEdit>,
    /// What it binds a tunnel to; none where it binds it to nothing.
    pub terms: Option<Box<AccessTerms>>,
}

/// The answer of an authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not mine to judge.
    Next,
    /// Accepted.
    Grant(Grant),
    /// Refused.
    Deny(LocalReply),
}

/// What went wrong in one hook call. The call has had no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}`, hook `{hook}`: {kind}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct HookFailure {
    /// The plugin's name in the configuration.
    pub plugin: std::sync::Arc<str>,
    /// The hook that was called.
    pub hook: Hook,
    /// The kind of failure.
    pub kind: HookFailureKind,
    /// What the guest or the engine said; may be empty.
    pub detail: String,
}

/// The ways in which a hook call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HookFailureKind {
    /// The guest trapped: a panic, `unreachable`, an access out of bounds.
    #[error("trapped")]
    Trap,
    /// The call took longer than the plugin's `deadline`.
    #[error("passed its deadline")]
    Deadline,
    /// The guest asked for more memory than the plugin's `memory`.
    #[error("ran out of memory")]
    Memory,
    /// The answer breaks the contract: a header name or status that cannot be, an
    /// edit of a header that is the host's, more output than allowed.
    #[error("gave a bad answer")]
    BadAnswer,
    /// No instance could be made: the pool is exhausted or `configure` failed now.
    #[error("could not be instantiated")]
    Instantiate,
    /// One call called more functions of the host than the plugin's `host_calls`.
    #[error("called the host too often")]
    HostCalls,
    /// It kept failing, and is left alone for a while.
    #[error("is in quarantine")]
    Quarantined,
}

impl HookFailureKind {
    /// The stable code for logs, metrics and tests.
    pub fn code(self) -> &'static str {
        match self {
            Self::Trap => "plugin.trap",
            Self::Deadline => "plugin.deadline",
            Self::Memory => "plugin.memory",
            Self::BadAnswer => "plugin.bad_answer",
            Self::Instantiate => "plugin.instantiate",
            Self::HostCalls => "plugin.host_calls",
            Self::Quarantined => "plugin.quarantined",
        }
    }
}

/// The hooks, in the order in which a request meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Hook {
    /// Which route.
    Router,
    /// Whether this Origin.
    Origin,
    /// Whether this caller.
    Authorizer,
    /// What the upstream sees.
    RequestHeaders,
    /// What is sent to it behind the head.
    RequestBody,
    /// Which peer.
    Balancer,
    /// The answer itself, in an upstream's place: `wasi:http/incoming-handler`.
    Handler,
    /// What the client sees.
    ResponseHeaders,
    /// What it is sent behind the head.
    ResponseBody,
    /// What flows through a WebSocket.
    Messages,
    /// When tunnels open and end.
    Tunnel,
    /// What happened.
    AccessLog,
}

impl Hook {
    /// Every hook, in order.
    pub const ALL: [Self; 12] = [
        Self::Router,
        Self::Origin,
        Self::Authorizer,
        Self::RequestHeaders,
        Self::RequestBody,
        Self::Balancer,
        Self::Handler,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::Messages,
        Self::Tunnel,
        Self::AccessLog,
    ];

    /// The name of its interface in `wit/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Origin => "origin",
            Self::Authorizer => "authorizer",
            Self::RequestHeaders => "request-headers",
            Self::RequestBody => "request-body",
            Self::Balancer => "balancer",
            Self::Handler => "handler",
            Self::ResponseHeaders => "response-headers",
            Self::ResponseBody => "response-body",
            Self::Messages => "messages",
            Self::Tunnel => "tunnel",
            Self::AccessLog => "access-log",
        }
    }
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HookSet(u16);

impl HookSet {
    /// The set with one more hook in it.
    #[must_use]
    pub fn with(self, hook: Hook) -> Self {
        Self(self.0 | 1 << hook as u8)
    }

    /// Whether the hook is in the set.
    pub fn contains(self, hook: Hook) -> bool {
        self.0 & 1 << hook as u8 != 0
    }

    /// The hooks that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Its hooks, in order.
    pub fn iter(self) -> impl Iterator<Item = Hook> {
        Hook::ALL.into_iter().filter(move |h| self.contains(*h))
    }
}

impl FromIterator<Hook> for HookSet {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        hooks.into_iter().fold(Self::default(), Self::with)
    }
}

/// What an operator wants when a plugin's call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The request is answered with 500.
    #[default]
    Closed,
    /// The request goes on as if the plugin had no objection.
    Open,
}

/// The answer to a hook call: there already (the sync lane), or later (the fiber lane).
pub enum Call<T> {
    /// It is there.
    Ready(Result<T, HookFailure>),
    /// It will come.
    Later(Pin<Box<dyn Future<Output = Result<T, HookFailure>> + Send>>),
}

impl<T> Call<T> {
    /// Wait for the answer; does not yield where it is there already.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn answer(self) -> Result<T, HookFailure> {
        match self {
            Self::Ready(answer) => answer,
            Self::Later(later) => later.await,
        }
    }
}

/// One configured plugin. A hook is called only if [`Plugin::hooks`] has it.
///
/// The calls take the exchange by reference; an implementation that keeps the request
/// for the length of a call clones the `Arc` and drops it before it answers, so that the
/// core can then change the request in place.
pub trait Plugin: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;
    /// The hooks that it serves.
    fn hooks(&self) -> HookSet;
    /// What to do when a call fails.
    fn on_failure(&self) -> OnFailure;
    /// Hook `router`.
    fn route(&self, view: &std::sync::Arc<View>) -> Call<Result<Option<Target>, LocalReply>>;
    /// Hook `origin`.
    fn check_origin(&self, view: &std::sync::Arc<View>) -> Call<Decision>;
    /// Hook `authorizer`.
    fn authorize(&self, view: &std::sync::Arc<View>) -> Call<Verdict>;
    /// Hook `request-headers`.
    fn on_request(&self, view: &std::sync::Arc<View>) -> Call<Result<Vec<FieldEdit>, LocalReply>>;
    /// Hook `balancer`: the id of a peer that [`Choice::active`] has, or none for the upstream's own
    /// policy. The caller goes on by that policy too where the call fails.
    fn pick(&self, view: &std::sync::Arc<View>, choice: Choice) -> Call<Option<u32>>;
    /// Answer a request, as a route's handler.
    fn handle(&self, request: HandlerRequest) -> Handling;
    /// Hook `response-headers`.
    fn on_response(
        &self,
        view: &std::sync::Arc<View>,
        response: &std::sync::Arc<ResponseView>,
    ) -> Call<Result<Vec<FieldEdit>, LocalReply>>;
    /// Hook `request-body`, or `response-body` where there is a response: a message with a body.
    /// None: the plugin does not want to see it. What it is asked later goes through the session.
    fn open_body(
        &self,
        view: &std::sync::Arc<View>,
        response: Option<&std::sync::Arc<ResponseView>>,
    ) -> Call<OpenedBody>;
    /// Hook `messages`: a tunnel opens, whose 101 is this. None: the plugin does not want to look
    /// into it. What the plugin is asked later goes through the session.
    fn open(
        &self,
        view: &std::sync::Arc<View>,
        response: &std::sync::Arc<ResponseView>,
    ) -> Call<Option<Box<dyn Session>>>;
    /// Hook `tunnel`: a tunnel has opened.
    fn on_tunnel_open(&self, view: &std::sync::Arc<View>, response: &std::sync::Arc<ResponseView>) -> Call<()>;
    /// Hook `tunnel`: it has ended.
    fn on_tunnel_close(
        &self,
        view: &std::sync::Arc<View>,
        response: &std::sync::Arc<ResponseView>,
        summary: &TunnelSummary,
    ) -> Call<()>;
    /// It is in use from now on, in the place of one of the same name.
    fn take_over(&self);
    /// Hook `access-log`.
    fn on_end(
        &self,
        view: &std::sync::Arc<View>,
        response: &std::sync::Arc<ResponseView>,
        summary: &Summary,
    ) -> Call<()>;
}
