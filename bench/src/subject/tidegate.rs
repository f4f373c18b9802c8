//! Tidegate with one worker and its four stock hooks: router, origin check, basic
//! authentication and the recommended headers.

use std::net::SocketAddr;
use std::process::Command;

use super::{Setup, Subject};
use crate::error::Result;
use crate::tls;
use crate::wire::Door;
use crate::ws;

/// The command that runs it: with all hooks, with the router alone, or with that and a plugin that sees messages.
pub(super) fn command(setup: &Setup, door: &Door, backend: SocketAddr, subject: Subject) -> Result<Command> {
    let path = setup.write("tidegate.toml", &configuration(setup, door, backend, subject))?;
    let mut command = Command::new(&setup.tidegate);
    command.arg("run").arg("-c").arg(path);
    Ok(command)
}

fn configuration(setup: &Setup, door: &Door, backend: SocketAddr, subject: Subject) -> String {
    let listen = door.address;
    let tls = match &door.tls {
        Some(_) => format!("tls = {{ certificate = \"{}\", key = \"{}\" }}\n", tls::CERTIFICATE, tls::KEY),
        None => String::new(),
    };
    let cache = setup.directory.join("cache");
    let host = ws::HOST;
    let (plugins, hooks) = match subject {
        Subject::Tidegate => ("", HOOKS),
        Subject::TidegateSeen => (MESSENGER, "default_headers = false\nplugins = [\"messenger\"]\n"),
        Subject::TidegateBeside => (MESSENGER, BESIDE),
        _ => ("", "default_headers = false\n"),
    };
    // What a plugin costs is told by what rides as little as what it looks into.
    let io_uring = subject == Subject::Tidegate;
    let (zones, limits, routes, sites) = if setup.full { full() } else { Default::default() };
    format!(
        r#"[server]
workers = 1
io_uring = {io_uring}
keepalive_requests = 1000000000
drain_timeout = "1s"
cache_dir = {cache:?}

[log]
level = "warn"

{plugins}{zones}[[listeners]]
address = "{listen}"
backlog = 4096
{tls}
[upstreams.backend]
keepalive = 64
peers = ["{backend}"]

[[sites]]
names = ["{host}"]
default = true
{limits}{routes}
[[sites.routes]]
name = "all"
match = "/"
upstream = "backend"
timeouts = {{ connect = "60s", read = "1h", send = "60s" }}
{hooks}{sites}"#
    )
}

/// Zones and log, what the measured site adds, nine more routes, and two more sites.
fn full() -> (&'static str, &'static str, String, String) {
    let zones = "[access_log]\npath = \"access.log\"\n\n[limits.rate]\nkey = \"$binary_remote_addr\"\nrate = \"1000000/s\"\n\n\
                 [limits.open]\nkey = \"$binary_remote_addr\"\n\n";
    let limits = "limits = { rate = [{ zone = \"rate\", burst = 1000000, nodelay = true }], \
                  concurrent = [{ zone = \"open\", total = 60000 }] }\n";
    let routes = |site: &str| -> String {
        (1..10)
            .map(|i| {
                format!("\n[[sites.routes]]\nname = \"{site}{i}\"\nmatch = \"/part{i}/\"\nupstream = \"backend\"\n")
            })
            .collect()
    };
    let site = |name: &str, names: &str| {
        let last = format!("\n[[sites.routes]]\nname = \"{name}\"\nmatch = \"/\"\nupstream = \"backend\"\n");
        format!("\n[[sites]]\nnames = [\"{names}\"]\n{}{last}", routes(name))
    };
    (zones, limits, routes("main"), site("one", "one.example.com") + &site("two", "*.two.example.com"))
}

/// The end of the route of all, and one more.
const BESIDE: &str = r#"default_headers = false

[[sites.routes]]
name = "seen"
match = "/seen/"
upstream = "backend"
timeouts = { connect = "60s", read = "1h", send = "60s" }
default_headers = false
plugins = ["messenger"]
"#;

/// The plugin of the tests, which lets binary messages pass.
const MESSENGER: &str = concat!(
    "[plugins.messenger]\ncomponent = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/guests/dist/messenger.wasm\"\n\n"
);

const HOOKS: &str = r#"origins = ["https://www.example.com", "https://*.example.com"]
missing_origin = "deny"
auth_basic = { realm = "bench", users = { from_file = "htpasswd" } }
"#;
