//! Pebble, the ACME server that Let's Encrypt tests clients with: it refuses good nonces now and then,
//! and looks whether names lead to the proxy, by a name server of the test's.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use tidegate_tests::subject::HeldPort;
use tidegate_tests::tools::system;
use tidegate_tests::{Authority, Dns, TempDir, tidegate, wait_for};

use crate::succeed;

const CONFIG: &str = r#"
[[listeners]]
address = "%http%"
[[listeners]]
address = "%tls%"
tls = true
[acme]
directory = "https://%pebble%/dir"
ca = "ca.pem"
state = "state"
accept_terms = true
challenge = "%challenge%"
retry = "1s"
[[sites]]
names = ["example.com", "www.example.com"]
tls = { certificate = "acme" }
[[sites.routes]]
match = "/"
respond = { status = 200, body = "over TLS\n" }
"#;

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// An address that was free just now: Go does not share ports.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn issues_by(challenge: &str) {
    let (dir, dns, authority) = (TempDir::new(), Dns::new(), Authority::new());
    let (http, tls, pebble, management) = (HeldPort::new(), HeldPort::new(), free(), free());
    for name in ["example.com", "www.example.com"] {
        dns.host(name, 60, &["127.0.0.1"]);
    }
    let own = authority.issue(&["127.0.0.1"]);
    let path = |name: &str| dir.path().join(name);
    dir.write("own.pem", &own.certificate);
    dir.write("own.key", &own.key);
    let ca = dir.write("ca.pem", authority.certificate());
    let config = dir.write(
        "pebble.json",
        format!(
            r#"{{ "pebble": {{ "listenAddress": "{pebble}", "managementListenAddress": "{management}",
            "certificate": "{}", "privateKey": "{}", "httpPort": {}, "tlsPort": {} }} }}"#,
            path("own.pem").display(),
            path("own.key").display(),
            http.address().port(),
            tls.address().port(),
        ),
    );
    let said = File::create(path("pebble.log")).unwrap();
    let running = Command::new(system("pebble", "pebble"))
        .args(["-strict", "-dnsserver", &dns.address().to_string(), "-config"])
        .arg(config)
        .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")])
        .stdout(said.try_clone().unwrap())
        .stderr(Stdio::from(said))
        .spawn();
    let _running = Running(running.unwrap());
    let curl = || Command::new(system("curl", "curl"));
    let root = wait_for("Pebble to serve", || {
        let answer = curl().args(["-sf", "--cacert"]).arg(&ca).arg(format!("https://{management}/roots/0")).output();
        answer.ok().filter(|answer| answer.status.success()).map(|answer| answer.stdout)
    });
    let root = dir.write("root.pem", root);
    let _proxy = tidegate(CONFIG)
        .var("http", http.address())
        .var("tls", tls.address())
        .var("pebble", pebble)
        .var("challenge", challenge)
        .file("ca.pem", authority.certificate())
        .start();
    for name in ["example.com", "www.example.com"] {
        let url = format!("https://{name}:{}/", tls.address().port());
        let to = format!("{name}:{}:127.0.0.1", tls.address().port());
        let ask = || {
            let mut command = curl();
            command.args(["-sSf", "--resolve", &to, "--cacert"]).arg(&root).arg(&url);
            command
        };
        wait_for("a certificate of Pebble's", || ask().output().ok().filter(|answer| answer.status.success()));
        assert_eq!(succeed(&mut ask(), dir.path()), "over TLS\n");
    }
}

#[test]
fn pebble_issues_by_http_01() {
    issues_by("http-01");
}

#[test]
fn pebble_issues_by_tls_alpn_01() {
    issues_by("tls-alpn-01");
}
