//! Tidegate: a WebSocket and HTTP reverse proxy, programmable with WebAssembly components.
//!
//! The modules, in the order that data flows through them:
//!
//! - [`cli`]: what the operator types; [`config`]: what the operator wrote, resolved
//! - [`server`]: workers, listeners, reload, drain; [`snapshot`]: one configuration made ready
//! - [`listener`]: sockets that accept
//! - [`streams`]: connections that are passed on as they are, by server name or port
//! - [`downstream`]: clients' connections, bytes to requests and answers to bytes; [`http1`]:
//!   the grammar and framing of both sides; [`http3`]: frames and field sections; [`message`]: heads; [`stream`]: writes that stall;
//!   [`socket`]: TCP, Unix, TLS; [`tls`]: certificates and keys; [`duplex`]: a stream of HTTP/2 or HTTP/3
//! - [`cohort`]: requests that come together go on together
//! - [`proxy_protocol`]: what a proxy in front says of a connection
//! - [`proxy`]: the spine: what happens to a request, phase by phase
//! - [`hook`]: what plugins are asked, without any ABI; [`plugin`]: Wasm behind it;
//!   [`stock`]: the embedded components
//! - [`content`]: files, compression, reading ahead
//! - [`limit`]: rates, and how many are open at once
//! - [`kv`]: what plugins keep, in memory or in a Redis
//! - [`upstream`]: peers, the choice among them, connections to them; [`body`]: the one body type
//! - [`tunnel`]: after the switch
//! - [`ca`]: certificates that are ordered (ACME), and whether one is revoked (OCSP)
//! - [`observe`]: records, access log, metrics; [`admin`]: `/metrics`
//! - [`kit`]: plugins without a proxy: cases and timing, for their authors
//! - [`import`]: from `nginx.conf` to a configuration
//! - [`error`]: errors as data
//!
//! `ARCHITECTURE.md` tells the same with reasons.

// A bench's laboratory is a test's too.
#[cfg(test)]
extern crate self as tidegate;

pub mod admin;
pub mod body;
pub mod ca;
pub mod cli;
pub mod cohort;
pub mod config;
pub mod content;
pub mod downstream;
pub mod duplex;
pub mod error;
pub mod hook;
pub mod http1;
pub mod http3;
pub mod import;
pub mod kit;
pub mod kv;
pub mod limit;
pub mod listener;
pub mod message;
pub mod observe;
pub mod plugin;
pub mod proxy;
pub mod proxy_protocol;
pub mod server;
pub mod snapshot;
pub mod socket;
pub mod stock;
pub mod stream;
pub mod streams;
pub mod tls;
pub mod tunnel;
pub mod upstream;
