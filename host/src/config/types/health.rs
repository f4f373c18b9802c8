//! Active health checks of an upstream's peers.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;

use super::Protocol;

/// `health` of an upstream. nginx Plus: `health_check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How a peer is asked.
    pub probe: Probe,
    /// From the end of a check to the next.
    pub interval: Duration,
    /// The most that is added to the interval by chance.
    pub jitter: Duration,
    /// How long a whole check may take.
    pub timeout: Duration,
    /// Failed checks in a row that make a peer unhealthy, 1 or more.
    pub fails: u32,
    /// Passed checks in a row that make it healthy again, 1 or more.
    pub passes: u32,
    /// Which port is checked; none for the peer's.
    pub port: Option<u16>,
    /// In which version of HTTP it is asked.
    pub protocol: Protocol,
    /// Whether a peer is used only after its first passed check.
    pub mandatory: bool,
    /// What becomes of the tunnels of a peer that turns unhealthy.
    pub on_unhealthy: OnUnhealthy,
}

/// What becomes of the tunnels of a peer that turns unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// They go on.
    Keep,
    /// They end after this time.
    Drain(Duration),
    /// They end.
    Close,
}

/// How a peer is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// By a request.
    Http(HttpProbe),
    /// By a WebSocket handshake.
    WebSocket(WebSocketProbe),
    /// By a connection.
    Tcp(TcpProbe),
}

/// A request, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub request: ProbeRequest,
    /// The statuses of a healthy peer.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the body must have.
    pub expect: Expect,
}

/// A handshake, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketProbe {
    /// Where it goes; with Origin, where there is one.
    pub request: ProbeRequest,
    /// What is offered, and must be chosen.
    pub subprotocol: Option<String>,
}

/// The head of a check's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// Path and query.
    pub target: String,
    /// Header lines, with Host as the first.
    pub fields: Vec<(String, String)>,
}

/// A connection, what is sent, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpProbe {
    /// May be empty.
    pub send: String,
    /// What must come; where it is nothing, the connection is enough.
    pub expect: Expect,
}

/// What the bytes of an answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// This text.
    pub contains: Option<String>,
    /// A match of this.
    pub matches: Option<Pattern>,
    /// How many bytes are looked at.
    pub most: usize,
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(pub regex_lite::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}
