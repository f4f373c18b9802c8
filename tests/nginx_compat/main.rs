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
mod affinity;
mod auth_basic;
mod auth_request;
mod balancing;
mod client_certificates;
mod client_max_body_size;
mod condition;
mod error_page;
mod examples;
mod gzip;
mod hop_by_hop;
mod import;
mod keepalive_requests;
mod limit_conn;
mod limit_req;
mod listen;
mod location;
mod location_nested;
mod log_format;
mod map;
mod max_fails;
mod parsing;
mod proxy_bind;
mod proxy_buffering;
mod proxy_cookie;
mod proxy_fin;
mod proxy_next_upstream;
mod proxy_pass_uri;
mod proxy_protocol;
mod proxy_redirect;
mod proxy_refused;
mod proxy_set_header;
mod proxy_ssl;
mod proxy_timeout;
mod proxy_upgrade;
mod proxy_websocket;
mod real_ip;
mod redirect_https;
mod return_;
mod rewrite;
mod root;
mod ssl;
mod stapling;
mod stream;
mod stub_status;
mod try_files;
mod upstream;
mod upstream_keepalive;
mod uri_fuzz;

use tidegate_tests::{Backend, Response};

/// A backend that answers with what it was asked: the head's lines, an empty one, the body.
fn mirror() -> Backend {
    Backend::http(|request| {
        let lines = request.head.lines_without(&[]).join("\n");
        Response::text(format!("{}\n{lines}\n\n{}", request.head.start, request.body.text()))
    })
}
