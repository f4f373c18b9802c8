//! TLS towards clients: identities by name, what is negotiated, who the client proves to be.
//!
//! nginx: `ngx_http_ssl_module`. Everything is rustls's; this module reads files, chooses by
//! server name (RFC 6066 §3) and says in words what is wrong.

mod accept;
mod challenges;
mod client_auth;
mod facts;
mod identity;
mod names;
mod quic;
mod renew;
mod served;
mod sessions;
mod settings;
mod terms;

pub use accept::{Refused, accept};
pub use challenges::{Challenges, Open};
pub use client_auth::{ClientAuth, Mode, Verifier};
pub use facts::{ClientFacts, Facts};
pub use identity::{BadIdentity, Certified, Fetch, Files, Identity, Leaf, Staple};
pub use names::{Entry, Names};
pub use quic::{QUIC_VERSION, accept_quic, quic_without_terms};
pub use renew::Renewal;
pub use served::Served;
pub use settings::{BadSettings, Settings};
pub use terms::{BadTerms, Terms, Wanted};
