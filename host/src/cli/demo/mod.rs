//! `tidegate demo`: the proxy, in front of an embedded backend or of yours.

mod backend;
mod echo;

use std::net::SocketAddr;
use std::path::Path;

use super::{Failed, logging};
use crate::config;
use crate::server::{Server, Signals, serve_until_signalled};

/// Serve until a signal ends it.
pub(super) fn demo(listen: SocketAddr, upstream: Option<&str>) -> Result<(), Failed> {
    logging::start("info")?;
    let peer = match upstream {
        Some(yours) => yours.to_owned(),
        None => backend::start()?.to_string(),
    };
    let text = configuration(listen, &peer);
    let load = || config::load_str(&text, Path::new("."), "<demo>");
    let signals = Signals::catch()?;
    let server = Server::start(&load()?)?;
    let address = server.addresses().first().copied().unwrap_or(listen);
    logging::say(&welcome(address, upstream));
    serve_until_signalled(signals, server, load);
    Ok(())
}

/// What `run` would be given for the same.
fn configuration(listen: SocketAddr, peer: &str) -> String {
    format!(
        r#"[access_log]
path = "stdout"
format = "upgrade"

[[listeners]]
address = "{listen}"

[upstreams.demo]
peers = ["{peer}"]

[[sites]]
default = true

[[sites.routes]]
name = "websocket"
match = "= /ws"
upstream = "demo"

[[sites.routes]]
name = "page"
match = "/"
upstream = "demo"
"#
    )
}

fn welcome(address: SocketAddr, upstream: Option<&str>) -> String {
    let behind = match upstream {
        Some(yours) => format!("your backend at {yours}"),
        None => "an embedded backend: a page at /, a WebSocket echo at /ws".to_owned(),
    };
    format!(
        "Tidegate is listening on {address}, in front of {behind}.\n\
         Every request is routed and mapped by the stock plugins, which are Wasm components.\n\n\
         Open    http://{address}/\n\
         or run  curl -i -N --max-time 2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
         -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==' http://{address}/ws\n\n\
         Each request and, at its end, each tunnel is logged below. Ctrl-C ends it."
    )
}
