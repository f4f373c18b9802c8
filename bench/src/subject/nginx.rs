//! nginx with the same work to do: the guides' WebSocket configuration, an Origin check by
//! `map` and `if`, basic authentication and the four recommended headers.

use std::net::SocketAddr;
use std::process::Command;

use super::Setup;
use crate::error::Result;
use crate::tls;
use crate::wire::Door;
use crate::ws;

/// The command that runs it in the foreground. Without `checks` it only proxies.
pub(super) fn command(setup: &Setup, door: &Door, backend: SocketAddr, checks: bool) -> Result<Command> {
    let path = setup.write("nginx.conf", &configuration(setup, door, backend, checks))?;
    let mut command = Command::new(&setup.nginx);
    command.arg("-p").arg(&setup.directory).arg("-c").arg(path).args(["-g", "daemon off;"]);
    // Its built-in path of the first error log may not be writable.
    command.arg("-e").arg("stderr");
    Ok(command)
}

fn configuration(setup: &Setup, door: &Door, backend: SocketAddr, checks: bool) -> String {
    let listen = match &door.tls {
        Some(_) => format!("{} ssl", door.address),
        None => door.address.to_string(),
    };
    let (certificate, key) = (tls::CERTIFICATE, tls::KEY);
    let connections = setup.open_files.min(32_768);
    let host = ws::HOST;
    let checks = if checks { CHECKS } else { "" };
    let (zones, limits, sites, routes) =
        if setup.full { full(&listen) } else { ("    access_log off;\n".to_owned(), "", String::new(), String::new()) };
    format!(
        r#"user root;
worker_processes 1;
error_log stderr error;
pid nginx.pid;
events {{ worker_connections {connections}; }}
http {{
{zones}    tcp_nodelay on;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    # "" (not "close") for plain requests, so that connections to the backend are kept.
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    map $http_origin $origin_denied {{
        default 1;
        "" 1;
        "https://www.example.com" 0;
        "~*^https://[^./]+\.example\.com$" 0;
    }}
    upstream backend {{
        server {backend};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
{sites}    server {{
        listen {listen} backlog=4096;
        server_name {host};
{routes}        location / {{
{limits}
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 1h;
{checks}        }}
    }}
}}
"#
    )
}

/// Zones and log, what the measured route adds, two more sites, and nine more routes.
fn full(listen: &str) -> (String, &'static str, String, String) {
    let zones = "    access_log access.log combined;
    limit_req_zone $binary_remote_addr zone=rate:10m rate=1000000r/s;
    limit_conn_zone $binary_remote_addr zone=open:10m;
";
    let limits = "            limit_req zone=rate burst=1000000 nodelay;\n            limit_conn open 60000;\n";
    let routes: String =
        (1..10).map(|i| format!("        location /part{i}/ {{ proxy_pass http://backend; }}\n")).collect();
    let site = |name: &str| {
        format!(
            "    server {{\n        listen {listen};\n        server_name {name};\n{routes}        location / {{ proxy_pass http://backend; }}\n    }}\n"
        )
    };
    (zones.to_owned(), limits, site("one.example.com") + &site("*.two.example.com"), routes.clone())
}

const CHECKS: &str = r#"            if ($origin_denied) { return 403; }
            auth_basic "bench";
            auth_basic_user_file htpasswd;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
"#;
