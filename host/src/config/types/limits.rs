//! Limits, real addresses and access, resolved.

use std::sync::Arc;

use http::HeaderName;
use tidegate_cidr::Cidr;

/// `[real_ip]`: the client's address behind other proxies. nginx: `ngx_http_realip_module`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealIp {
    /// Who is believed. nginx: `set_real_ip_from`.
    pub trusted: Vec<Cidr>,
    /// Where it stands. nginx: `real_ip_header`.
    pub header: HeaderName,
    /// Whether trusted addresses in it are passed over. nginx: `real_ip_recursive`.
    pub recursive: bool,
}

/// `[limits.NAME]`. nginx: `limit_req_zone`, `limit_conn_zone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: Arc<str>,
    /// The template of its key, which is one.
    pub key: String,
    /// Thousandths of requests a second; none where it limits no rate.
    pub rate: Option<u64>,
    /// The most memory, bytes.
    pub size: usize,
}

/// `limits = { … }` of a route, with what it inherits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; none for no limit. nginx: `client_max_body_size`.
    pub max_body: Option<u64>,
    /// nginx: `limit_req`.
    pub rates: Vec<RateLimit>,
    /// nginx: `limit_req_status`, `limit_req_dry_run`, `limit_req_log_level`.
    pub rate_refusal: Refusal,
    /// nginx: `limit_conn`.
    pub open: Vec<OpenLimit>,
    /// nginx: `limit_conn_status`, `limit_conn_dry_run`, `limit_conn_log_level`.
    pub open_refusal: Refusal,
}

/// One of `rate`. nginx: `limit_req`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// The name of a zone that has a rate.
    pub zone: Arc<str>,
    /// Requests that may come beyond the rate.
    pub burst: u32,
    /// How many of them do not wait; none where none waits.
    pub delay: Option<u32>,
}

/// One of `concurrent`. nginx: `limit_conn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLimit {
    /// The name of a zone.
    pub zone: Arc<str>,
    /// Requests and tunnels together.
    pub total: Option<u32>,
    /// Requests that ask for no tunnel.
    pub requests: Option<u32>,
    /// Tunnels.
    pub tunnels: Option<u32>,
}

/// What happens to a request beyond a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 599.
    pub status: u16,
    /// Only log it.
    pub dry_run: bool,
    /// How loudly.
    pub level: Level,
}

/// How serious a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is off, and work goes on.
    Warn,
    /// Worth knowing.
    Info,
}

/// How the answers of several authorizers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Satisfy {
    /// Each must accept, and one that grants ends the asking, as the contract of plugins says.
    #[default]
    First,
    /// Each must accept, and each is asked. nginx: `satisfy all`.
    All,
    /// One that grants is enough. nginx: `satisfy any`.
    Any,
}
