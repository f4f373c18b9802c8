//! Tidegate with one worker and its four stock hooks: router, origin check, basic
//! authentication and the recommended headers.

use std::net::SocketAddr;
use std::process::Command;

use super::Setup;
use crate::error::Result;
use crate::ws;

/// The command that runs it. Without `hooks` only the router is left.
pub(super) fn command(setup: &Setup, listen: SocketAddr, backend: SocketAddr, hooks: bool) -> Result<Command> {
    let path = setup.write("tidegate.toml", &configuration(setup, listen, backend, hooks))?;
    let mut command = Command::new(&setup.tidegate);
    command.arg("run").arg("-c").arg(path);
    Ok(command)
}

fn configuration(setup: &Setup, listen: SocketAddr, backend: SocketAddr, hooks: bool) -> String {
    let cache = setup.directory.join("cache");
    let host = ws::HOST;
    let hooks = if hooks { HOOKS } else { "default_headers = false\n" };
    format!(
        r#"[server]
workers = 1
drain_timeout = "1s"
cache_dir = {cache:?}

[log]
level = "warn"

[[listeners]]
address = "{listen}"
backlog = 4096

[upstreams.backend]
keepalive = 64
peers = ["{backend}"]

[[sites]]
names = ["{host}"]
default = true

[[sites.routes]]
name = "all"
match = "/"
upstream = "backend"
timeouts = {{ connect = "60s", read = "1h", send = "60s" }}
{hooks}"#
    )
}

const HOOKS: &str = r#"origins = ["https://www.example.com", "https://*.example.com"]
missing_origin = "deny"
auth_basic = { realm = "bench", users = { from_file = "htpasswd" } }
"#;
