//! Real clients: npm `ws`, Python `websockets`, `h2`, `httpx` and `aioquic`, node's own HTTP/2, curl, nghttp,
//! h2load, chromium, and scanners of TLS. Over HTTP/1.1 they run through nginx too, so that a client that cannot do its part is told from a proxy
//! that cannot. `cargo xtask test` installs them; see [`tidegate_tests::tools`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod chromium;
mod curl;
mod http2;
mod node_ws;
mod pebble;
mod python_aioquic;
mod python_websockets;
mod tls_scan;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tidegate_tests::guests::guest;
use tidegate_tests::tools::run;
use tidegate_tests::{Proxy, tidegate};

/// Run a client that must succeed; what it printed.
#[track_caller]
fn succeed(command: &mut Command, scratch: &Path) -> String {
    let output = run(command, scratch);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Tidegate before a backend, with a plugin that wants to see every message.
fn inspected(backend: SocketAddr) -> Proxy {
    let text = r#"
        [plugins.m]
        component = "%messenger%"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["m"]
        messages = { max_size = "4MiB" }
        "#;
    tidegate(text).var("messenger", guest("messenger")).var("backend", backend).start()
}
