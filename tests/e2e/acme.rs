//! Certificates that are ordered and renewed by themselves (RFC 8555), from an authority of the
//! test's own that looks whether names lead to the proxy.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tidegate_tests::acme::Failure;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Acme, Backend, Proxy, Setup, TempDir, TlsClient, Wire, eventually, tidegate, wait_for};

use crate::breaker::{admin, status};

const CONFIG: &str = r#"
[server]
workers = 1
cache_dir = "%cache%"
[admin]
address = "%admin%"
[[listeners]]
address = "%http%"
[[listeners]]
address = "%tls%"
tls = true
[acme]
directory = "%directory%"
ca = "acme.pem"
state = "%state%"
accept_terms = true
contact = ["ops@example.com"]
retry = "20ms"
[[sites]]
names = ["example.com", "www.example.com"]
tls = { certificate = "acme" }
[[sites.routes]]
match = "/"
upstream = "%backend%"
"#;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority to which all names lead to the ports that the proxy will have.
struct Scene {
    acme: Acme,
    backend: Backend,
    state: TempDir,
    admin: HeldPort,
    http: HeldPort,
    tls: HeldPort,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            acme: Acme::start(),
            backend: Backend::ws_echo(),
            state: TempDir::new(),
            admin: HeldPort::new(),
            http: HeldPort::new(),
            tls: HeldPort::new(),
        };
        scene.acme.leads_to(scene.http.address(), scene.tls.address());
        scene
    }

    fn setup(&self, text: &str) -> Setup {
        tidegate(text)
            .var("backend", self.backend.address())
            .var("directory", self.acme.directory())
            .var("admin", self.admin.address())
            .var("http", self.http.address())
            .var("tls", self.tls.address())
            .var("state", self.state.path().join("kept").display())
            .file("acme.pem", self.acme.authority().certificate())
            .in_process()
    }

    fn start(&self) -> Proxy {
        self.setup(CONFIG).start()
    }

    /// What a new client is shown for a name, or why it is not.
    fn shown(&self, name: &str) -> Result<CertificateDer<'static>, String> {
        let client = TlsClient::new(self.acme.authority(), name);
        client.try_connect(self.tls.address()).map(|(_, session)| session.certificate)
    }

    fn wait_until_issued(&self, name: &str) -> CertificateDer<'static> {
        wait_for("a certificate to be served", || self.shown(name).ok())
    }

    /// What was issued last.
    fn issued(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.acme.last_issued().as_bytes()).unwrap()
    }

    fn ordered(&self) -> Value {
        status(&self.admin)["certificates"]["ordered"].clone()
    }

    /// The files of the authority's folder.
    fn kept(&self) -> Vec<PathBuf> {
        let only = |path: PathBuf| {
            let mut inside: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            inside.sort();
            inside
        };
        only(only(self.state.path().join("kept")).remove(0))
    }
}

#[test]
fn the_first_certificate_by_http_01() {
    let scene = Scene::new();
    let _proxy = scene.start();
    assert_eq!(scene.wait_until_issued("example.com"), scene.issued());
    assert_eq!(scene.shown("www.example.com"), Ok(scene.issued()));
    assert_eq!(scene.acme.orders(), [["example.com", "www.example.com"]]);
    assert_eq!(scene.acme.contacts(), ["mailto:ops@example.com"]);
    let kept = scene.kept();
    let names: Vec<_> = kept.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["account.json", "example.com.pem"]);
    for path in &kept {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        let folder = path.parent().unwrap().metadata().unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }
    // The order is over: its tokens are the upstream's again, like any other path.
    let mut wire = Wire::connect(scene.http.address());
    wire.send("GET /.well-known/acme-challenge/other HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    let (head, body) = wire.read_response();
    assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
    assert_eq!(scene.backend.heads().len(), 1, "no challenge came through");
    let metrics = admin(&scene.admin, "/metrics");
    assert!(metrics.contains("tidegate_acme_orders_total{result=\"issued\"} 1"), "{metrics}");
    let expiry = metrics.lines().find(|line| line.starts_with("tidegate_certificate_expiry_seconds{")).unwrap();
    assert!(expiry.contains("names=\"example.com,www.example.com\"") && !expiry.ends_with(" 0"), "{expiry}");
}

#[test]
fn the_first_certificates_by_tls_alpn_01() {
    let scene = Scene::new();
    let text = CONFIG
        .replace("[acme]", "[acme]\nchallenge = \"tls-alpn-01\"")
        .replace("tls = true", "tls = { certificate = \"acme\" }")
        .replace("\ntls = { certificate = \"acme\" }\n[[sites.routes]]", "\n[[sites.routes]]");
    let more = "[[sites]]\nnames = [\"example.org\"]\n[[sites.routes]]\nmatch = \"/\"\nrespond = { status = 204 }\n";
    let _proxy = scene.setup(&format!("{text}{more}")).start();
    scene.wait_until_issued("www.example.com");
    scene.wait_until_issued("example.org");
    let mut orders = scene.acme.orders();
    orders.sort();
    assert_eq!(orders, [vec!["example.com", "www.example.com"], vec!["example.org"]]);
    assert_eq!(scene.acme.accounts(), 1);
    // A handshake like any other does not agree on the protocol of challenges.
    let client = TlsClient::new(scene.acme.authority(), "example.com");
    let client = client.changed(|config| config.alpn_protocols = vec![b"acme-tls/1".to_vec()]);
    let refused = client.try_connect(scene.tls.address()).err().unwrap();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn handshakes_are_refused_until_an_authority_that_is_down_is_back() {
    let scene = Scene::new();
    scene.acme.down(true);
    let _proxy = scene.start();
    let refused = scene.shown("example.com").unwrap_err();
    assert!(refused.contains("AccessDenied") || refused.contains("alert"), "{refused}");
    eventually("several tries", || scene.ordered()[0]["failures"].as_u64() >= Some(2));
    let error = scene.ordered()[0]["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("127.0.0.1"), "{error}");
    scene.acme.down(false);
    scene.wait_until_issued("example.com");
    eventually("it went well", || scene.ordered()[0]["failures"] == 0);
    assert_eq!(scene.acme.accounts(), 1);
}

#[test]
fn a_renewal_touches_no_tunnel() {
    let scene = Scene::new();
    // To be renewed as soon as it is there.
    scene.acme.lifetime(90 * DAY, 80 * DAY);
    let _proxy = scene.start();
    let first = scene.wait_until_issued("example.com");
    let mut tunnel = TlsClient::new(scene.acme.authority(), "example.com").connect(scene.tls.address());
    tunnel.upgrade("/ws");
    tunnel.echo(&Frame::text("before"));
    scene.acme.lifetime(90 * DAY, Duration::ZERO);
    eventually("the renewed one is served, and the next is far off", || {
        let far = scene.ordered()[0]["next_order"].as_str().is_some_and(|next| next > in_days(50).as_str());
        far && scene.shown("example.com") == Ok(scene.issued())
    });
    assert_ne!(scene.issued(), first);
    tunnel.echo(&Frame::text("after"));
    assert_eq!(scene.acme.accounts(), 1, "orders share an account");
}

/// As `/status` writes times, up to the day.
fn in_days(days: u32) -> String {
    let text = std::process::Command::new("date").args(["-u", "-d", &format!("+{days} days"), "+%Y-%m-%d"]).output();
    String::from_utf8(text.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_restart_uses_what_is_kept() {
    let scene = Scene::new();
    let proxy = scene.start();
    let first = scene.wait_until_issued("example.com");
    drop(proxy);
    scene.acme.down(true);
    let _proxy = scene.start();
    assert_eq!(scene.shown("example.com"), Ok(first), "served at once, and without the authority");
    eventually("nothing is to be done", || {
        let ordered = scene.ordered();
        ordered[0]["failures"] == 0 && ordered[0]["next_order"].as_str().is_some_and(|next| next > in_days(50).as_str())
    });
    assert_eq!(scene.acme.orders().len(), 1);
}

#[test]
fn orders_go_on_over_reloads() {
    let scene = Scene::new();
    scene.acme.down(true);
    let mut proxy = scene.start();
    eventually("a try that failed", || scene.ordered()[0]["failures"].as_u64() >= Some(1));
    proxy.reload(&format!("{CONFIG}\n# the same\n")).unwrap();
    assert!(scene.ordered()[0]["failures"].as_u64() >= Some(1), "what is known of it goes on");
    scene.acme.down(false);
    scene.wait_until_issued("example.com");
    // Another name needs another certificate; until then the old one serves the old names.
    scene.acme.down(true);
    let wider = CONFIG.replace("\"www.example.com\"]", "\"www.example.com\", \"new.example.com\"]");
    proxy.reload(&wider).unwrap();
    assert_eq!(scene.shown("example.com"), Ok(scene.issued()));
    assert!(scene.shown("new.example.com").is_err());
    scene.acme.down(false);
    scene.wait_until_issued("new.example.com");
    assert_eq!(scene.acme.orders().len(), 2);
    // What is no longer wanted is forgotten.
    proxy.reload(&CONFIG.replace("tls = { certificate = \"acme\" }", "reject_handshake = true")).unwrap();
    eventually("nothing is kept", || scene.ordered() == Value::Array(Vec::new()));
    assert!(scene.shown("example.com").is_err());
}

#[test]
fn failures_are_told_of_and_overcome() {
    for (resource, failure, tells) in [
        ("new-order", Failure::Nonce, ""),
        ("finalize", Failure::Nonce, ""),
        ("new-account", Failure::Broken, "JSON"),
        ("new-order", Failure::Broken, "JSON"),
        ("certificate", Failure::Broken, "JSON"),
        ("new-order", Failure::Rate(1), "rateLimited"),
    ] {
        let scene = Scene::new();
        scene.acme.fail(resource, failure);
        let _proxy = scene.start();
        if !tells.is_empty() {
            let error = wait_for("a failure", || scene.ordered()[0]["last_error"].as_str().map(str::to_owned));
            assert!(error.contains(tells), "{resource} {failure:?}: {error}");
        }
        let before = SystemTime::now();
        scene.wait_until_issued("example.com");
        if failure == Failure::Rate(1) {
            // Most of the second that the authority has asked for.
            assert!(before.elapsed().unwrap() > Duration::from_millis(500));
        }
        let failed = admin(&scene.admin, "/metrics");
        let wanted = format!("tidegate_acme_orders_total{{result=\"failed\"}} {}", u8::from(!tells.is_empty()));
        assert!(failed.contains(&wanted), "{resource} {failure:?}: {failed}");
    }
}

#[test]
fn a_name_that_does_not_lead_here_is_not_proved() {
    for challenge in ["http-01", "tls-alpn-01"] {
        let scene = Scene::new();
        // A peer that speaks no TLS would wait for the rest of a head; a port without one refuses.
        let (elsewhere, nobody) = (Backend::named("nothing of the kind"), HeldPort::new());
        scene.acme.leads_to(elsewhere.address(), nobody.address());
        let text = CONFIG.replace("[acme]", &format!("[acme]\nchallenge = \"{challenge}\""));
        let _proxy = scene.setup(&text).start();
        let error = wait_for("a failure", || scene.ordered()[0]["last_error"].as_str().map(str::to_owned));
        assert!(error.contains("example.com was not proved: ") && error.contains("incorrectResponse"), "{error}");
        assert!(scene.shown("example.com").is_err());
        scene.acme.leads_to(scene.http.address(), scene.tls.address());
        scene.wait_until_issued("example.com");
    }
}

#[test]
fn the_authority_says_when_to_renew() {
    let scene = Scene::new();
    let proxy = scene.start();
    let first = scene.wait_until_issued("example.com");
    drop(proxy);
    let now = SystemTime::now();
    scene.acme.renew_within(now - 2 * DAY, now - DAY);
    let _proxy = scene.start();
    eventually("another is served", || scene.shown("example.com").is_ok_and(|shown| shown != first));
    let replaced = scene.acme.replaced();
    assert_eq!(replaced.len(), 2);
    assert!(replaced[0].is_none() && replaced[1].is_some(), "{replaced:?}");
}

#[test]
fn an_account_may_be_linked() {
    let scene = Scene::new();
    scene.acme.ask_for_link("the-one", b"a key of some bytes");
    let text = CONFIG.replace("[acme]", "[acme]\neab_kid = \"the-one\"\neab_key = \"YSBrZXkgb2Ygc29tZSBieXRlcw\"");
    let _proxy = scene.setup(&text).start();
    scene.wait_until_issued("example.com");
}

#[test]
fn what_cannot_be_ordered_is_told_of_with_its_place() {
    let scene = Scene::new();
    let names = "names = [\"example.com\", \"www.example.com\"]";
    for (from, to, wanted) in [
        (names, "names = [\"example.com\", \"*.example.com\"]", "no certificate is issued for \"*.example.com\""),
        (names, "names = [\"192.0.2.1\"]", "no certificate is issued for \"192.0.2.1\""),
        ("accept_terms = true", "", "terms of service are not accepted"),
        ("address = \"%http%\"", "address = \"%http%\"\ntls = true", "no listener without `tls` can answer http-01"),
        ("\"%directory%\"", "\"http://127.0.0.1/\"", "no URL of https"),
        ("state = \"%state%\"", "", "acme.state: is missing"),
        ("ca = \"acme.pem\"", "ca = \"none.pem\"", "none.pem cannot be read"),
        ("retry = \"20ms\"", "eab_kid = \"one\"", "`eab_kid` and `eab_key` come together"),
        ("retry = \"20ms\"", "eab_kid = \"one\"\neab_key = \"!\"", "is no base64url"),
        ("\"acme\" }", "\"acme\", ocsp = \"a.ocsp\" }", "a response in a file does not fit"),
        ("\"acme\" }", "\"acme\", key = \"a.key\" }", "is of no use: with `certificate = \"acme\"`"),
    ] {
        let problems = scene.setup(&CONFIG.replace(from, to)).try_start().err().unwrap_or_default();
        assert!(problems.contains(wanted), "{from} → {to}: {problems}");
        assert!(problems.contains("test.toml:"), "{problems}");
    }
    let without = CONFIG.replace("[acme]", "[admin2]").replace("[admin2]", "[[ignored]]");
    let problems = scene.setup(&without).try_start().err().unwrap_or_default();
    assert!(problems.contains("there is no [acme]"), "{problems}");
    assert_eq!(scene.acme.asked(), Vec::<String>::new(), "a configuration is checked without the network");
}
