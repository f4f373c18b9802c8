//! nginx as the model: each case runs against nginx, with its configuration as the guides
//! write it, and against Tidegate, with the configuration that replaces it, from one body.
//! Modules are named after nginx's directives and after its own tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod access;
mod add_header;
mod auth_basic;
mod client_max_body_size;
mod examples;
mod hop_by_hop;
mod keepalive_requests;
mod limit_conn;
mod limit_req;
mod listen;
mod location;
mod location_nested;
mod log_format;
mod map;
mod parsing;
mod proxy_cookie;
mod proxy_fin;
mod proxy_pass_uri;
mod proxy_redirect;
mod proxy_refused;
mod proxy_set_header;
mod proxy_timeout;
mod proxy_upgrade;
mod proxy_websocket;
mod real_ip;
mod return_;
mod rewrite;
mod stub_status;
mod upstream;
mod uri_fuzz;
