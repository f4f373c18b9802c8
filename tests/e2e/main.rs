//! One module per behaviour of the proxy, each test with its configuration inline and
//! bytes asserted at both ends. Where nginx is the model, the case runs against both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod access;
mod access_log;
mod acme;
mod admission;
mod auth_basic;
mod auth_jwt;
mod auth_request;
mod backpressure;
mod balance;
mod balancer;
mod bodies;
mod breaker;
mod broken_http;
mod bulk;
mod cli;
mod content;
mod cors;
mod discovery;
mod drain;
mod early_bytes;
mod half_close;
mod handlers;
mod handlers_wasi3;
mod handshake_checks;
mod headers;
mod health;
mod health_http2;
mod http;
mod http2;
mod http2_conformance;

mod http2_downstream;
mod http2_failures;
mod http2_tls;
mod http2_tunnels;
mod http3;
mod http3_connection;
mod http3_protocol;
mod http3_tunnels;
mod http_client;
mod https;
mod idle_timeout;
mod import;
mod io_uring;
mod isolation;
mod keep_alive;
mod kv;
mod kv_redis;
mod languages;
mod limits;
mod logs;
mod matrix;
mod messages;
mod metrics;
mod ocsp;
mod origin;
mod plugin_grants;
mod plugin_limits;
mod plugin_tools;
mod plugins;
mod proxy_protocol;
mod quarantine;
mod rate_limit;
mod reload;
mod resets;
mod retry;
mod routing;
mod status;
mod sticky;
mod streams;
mod streams_peers;
mod swap;
mod timeouts;
mod tls;
mod upgrade;
mod upstream_tls;
mod upstream_unix;
mod versions;
