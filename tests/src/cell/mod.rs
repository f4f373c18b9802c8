//! Cells of the protocol matrix: one version of HTTP towards clients, one towards peers, each
//! with TLS or without. A test that takes a [`Cell`] asserts the same for all of them.
//!
//! Tunnels are [`Lane`]s at both ends, whatever carries them; requests are whole messages,
//! [`Ask`] and [`Answer`].

mod client;
mod lane;
mod message;
mod over_http3;
mod peer;

use std::net::SocketAddr;

pub use client::{Opened, Visitor};
pub use lane::{Cut, Lane, Receiver, Sender, echo_frames};
pub use message::{Answer, Ask, Asked, MessagePeer};
pub use peer::{Asking, Peer};

use crate::certificates::{Authority, Certified};
use crate::subject::{Proxy, Setup, tidegate};
use crate::tls_client::TlsClient;

/// The name of the site, and of the peers' certificate.
pub const HOST: &str = "example.com";

/// What a client speaks with the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// HTTP/1.1.
    H1,
    /// HTTP/1.1 over TLS.
    H1Tls,
    /// HTTP/2 with prior knowledge.
    H2,
    /// HTTP/2 over TLS, by ALPN.
    H2Tls,
    /// HTTP/3.
    H3,
}

/// What the proxy speaks with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// HTTP/1.1.
    H1,
    /// HTTP/1.1 over TLS.
    H1Tls,
    /// HTTP/2 with prior knowledge.
    H2,
    /// HTTP/2 over TLS.
    H2Tls,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Towards clients.
    pub down: Down,
    /// Towards peers.
    pub up: Up,
}

impl Down {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::H1, Self::H1Tls, Self::H2, Self::H2Tls, Self::H3];

    /// Whether there is TLS.
    pub fn is_tls(self) -> bool {
        !matches!(self, Self::H1 | Self::H2)
    }

    /// Whether tunnels and requests share a connection.
    pub fn is_multiplexed(self) -> bool {
        !matches!(self, Self::H1 | Self::H1Tls)
    }

    /// What `$server_protocol` says.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::H1 | Self::H1Tls => "HTTP/1.1",
            Self::H2 | Self::H2Tls => "HTTP/2.0",
            Self::H3 => "HTTP/3.0",
        }
    }

    /// `http` or `https`.
    pub fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// The listener's table.
    pub fn listener(self) -> String {
        format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n{}\n", self.listener_keys())
    }

    fn listener_keys(self) -> &'static str {
        match self {
            Self::H1 => "protocols = [\"h1\"]",
            Self::H1Tls => "protocols = [\"h1\"]\ntls = { certificate = \"server.pem\", key = \"server.key\" }",
            Self::H2 => "protocols = [\"h1\", \"h2\"]",
            Self::H3 => {
                "protocols = [\"h1\", \"h2\", \"h3\"]\ntls = { certificate = \"server.pem\", key = \"server.key\" }"
            }
            Self::H2Tls => "protocols = [\"h1\", \"h2\"]\ntls = { certificate = \"server.pem\", key = \"server.key\" }",
        }
    }
}

impl Up {
    /// Whether there is TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::H1Tls | Self::H2Tls)
    }

    /// Whether it is HTTP/2.
    pub fn is_h2(self) -> bool {
        matches!(self, Self::H2 | Self::H2Tls)
    }

    /// The table of an upstream of this name.
    pub fn upstream(self, name: &str, peer: SocketAddr) -> String {
        format!("[upstreams.{name}]\npeers = [\"{peer}\"]\n{}\n", self.keys())
    }

    fn keys(self) -> &'static str {
        match self {
            Self::H1 => "",
            Self::H1Tls => "tls = { ca = \"ca.pem\", name = \"example.com\" }",
            Self::H2 => "protocol = \"h2\"",
            Self::H2Tls => "protocol = \"h2\"\ntls = { ca = \"ca.pem\", name = \"example.com\" }",
        }
    }
}

/// The authority of a cell's certificates, and the one certificate that proxy and peers show.
pub struct Trust {
    /// Who signed it.
    pub authority: Authority,
    /// For [`HOST`] and, for real clients, `localhost`.
    pub certified: Certified,
}

impl Trust {
    /// New ones.
    pub fn new() -> Self {
        let authority = Authority::new();
        let certified = authority.issue(&[HOST, "localhost"]);
        Self { authority, certified }
    }

    /// The files that configurations name.
    pub fn files(&self, setup: Setup) -> Setup {
        setup
            .file("ca.pem", self.authority.certificate())
            .file("server.pem", &self.certified.certificate)
            .file("server.key", &self.certified.key)
    }

    /// A client that believes them.
    pub fn client(&self) -> TlsClient {
        TlsClient::new(&self.authority, HOST)
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::new()
    }
}

/// A proxy of a cell, and who may visit it.
pub struct Running {
    /// The proxy.
    pub proxy: Proxy,
    /// What clients believe.
    pub trust: Trust,
    /// What they speak.
    pub down: Down,
}

impl Running {
    /// A client's connection.
    pub async fn visit(&self) -> Visitor {
        Visitor::connect(self.down, self.proxy.address(), &self.trust.client()).await
    }

    /// As [`Running::visit`], with small buffers in the client's kernel.
    pub async fn visit_narrow(&self) -> Visitor {
        Visitor::connect_narrow(self.down, self.proxy.address(), &self.trust.client()).await
    }
}

impl Cell {
    /// A proxy before a peer; `route` are keys of its one route.
    pub fn before(self, trust: Trust, peer: SocketAddr, route: &str) -> Running {
        let proxy = self.set_up(&trust, peer, route).start();
        Running { proxy, trust, down: self.down }
    }

    /// As [`Cell::before`], not started.
    pub fn set_up(self, trust: &Trust, peer: SocketAddr, route: &str) -> Setup {
        let Self { down, up } = self;
        let text = format!(
            "[server]\nworkers = 1\n{}{}[[sites]]\nlimits = {{ max_body = 0 }}\n[[sites.routes]]\nmatch = \"/\"\n\
             upstream = \"peers\"\n{route}\n",
            down.listener(),
            up.upstream("peers", peer),
        );
        trust.files(tidegate(&text))
    }
}

impl Down {
    /// A proxy with these sites; clients speak this.
    pub fn proxy(self, more: &str, change: impl FnOnce(Setup) -> Setup) -> Running {
        self.proxy_trusting(Trust::new(), more, change)
    }

    /// As [`Down::proxy`], with certificates that peers have, too.
    pub fn proxy_trusting(self, trust: Trust, more: &str, change: impl FnOnce(Setup) -> Setup) -> Running {
        let text = format!("[server]\nworkers = 1\n{}{more}", self.listener());
        let proxy = change(trust.files(tidegate(&text))).start();
        Running { proxy, trust, down: self }
    }
}
