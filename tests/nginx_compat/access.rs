//! `allow`, `deny` and `satisfy`: who may come, by address and by password.

use tidegate_tests::{Backend, Proxy, Subject, both, ws};

both!(first_match, inheritance, satisfy_all, satisfy_any, satisfy_any_without_a_matching_rule);

/// The client's address is what X-Real-IP says.
fn guarded(subject: Subject, nginx: &str, tidegate: &str) -> (Proxy, Backend) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(&format!("set_real_ip_from 127.0.0.1; {nginx}"))
        .tidegate(&format!("[real_ip]\ntrusted = [\"127.0.0.1\"]\n{tidegate}"))
        .file("htpasswd", "pam:{PLAIN}plum\n")
        .var("backend", backend.address())
        .start();
    (proxy, backend)
}

/// The status for a client's address, and whether it is asked for a password.
fn ask(proxy: &Proxy, path: &str, address: &str, more: &str) -> (u16, bool) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Real-IP: {address}\r\n{more}\r\n");
    let (head, _) = proxy.ask(request);
    (head.status(), head.get("www-authenticate").is_some())
}

const PAM: &str = "Authorization: Basic cGFtOnBsdW0=\r\n";

/// The example of nginx's documentation.
fn first_match(subject: Subject) {
    let (proxy, backend) = guarded(
        subject,
        "location / { proxy_pass http://%backend%; %guide%
            deny 192.168.1.1; allow 192.168.1.0/24; allow 10.1.1.0/16; allow 2001:0db8::/32; deny all; }
         location /open { proxy_pass http://%backend%; deny 192.168.1.1; }",
        "[[sites]]\nupstream = \"%backend%\"\n[[sites.routes]]\nmatch = \"/\"\n\
         access = [\"deny 192.168.1.1\", \"allow 192.168.1.0/24\", \"allow 10.1.1.0/16\", \"allow 2001:0db8::/32\", \"deny all\"]\n\
         [[sites.routes]]\nmatch = \"/open\"\naccess = [\"deny 192.168.1.1\"]\n",
    );
    for (address, wanted) in [
        ("192.168.1.1", 403),
        ("192.168.1.2", 200),
        ("10.1.200.3", 200),
        ("10.2.0.1", 403),
        ("2001:db8::7", 200),
        ("2001:db9::7", 403),
        ("::ffff:192.168.1.2", 200),
    ] {
        assert_eq!(ask(&proxy, "/", address, ""), (wanted, false), "{address}");
    }
    assert_eq!([ask(&proxy, "/open", "192.168.1.1", "").0, ask(&proxy, "/open", "192.0.2.1", "").0], [403, 200]);
    let before = backend.connections();
    assert_eq!(proxy.ask(ws::handshake("/", "X-Real-IP: 10.2.0.1\r\n")).0.status(), 403);
    assert_eq!(backend.connections(), before);
    assert_eq!(proxy.ask(ws::handshake("/", "X-Real-IP: 10.1.0.1\r\n")).0.status(), 101);
}

/// A location's list takes the place of the server's.
fn inheritance(subject: Subject) {
    let (proxy, _backend) = guarded(
        subject,
        "allow 10.0.0.0/8; deny all;
         location / { proxy_pass http://%backend%; }
         location /other { allow 192.0.2.0/24; deny all; proxy_pass http://%backend%; }
         location /all { allow all; proxy_pass http://%backend%; }",
        "[[sites]]\nupstream = \"%backend%\"\naccess = [\"allow 10.0.0.0/8\", \"deny all\"]\n\
         [[sites.routes]]\nmatch = \"/\"\n\
         [[sites.routes]]\nmatch = \"/other\"\naccess = [\"allow 192.0.2.0/24\", \"deny all\"]\n\
         [[sites.routes]]\nmatch = \"/all\"\naccess = [\"allow all\"]\n",
    );
    let statuses = |path: &str| ["10.0.0.1", "192.0.2.1"].map(|address| ask(&proxy, path, address, "").0);
    assert_eq!([statuses("/"), statuses("/other"), statuses("/all")], [[200, 403], [403, 200], [200, 200]]);
}

fn both_ways(subject: Subject, nginx: &str, tidegate: &str, rules: (&str, &str)) -> [(u16, bool); 4] {
    let (proxy, _backend) = guarded(
        subject,
        &format!(
            "location / {{ proxy_pass http://%backend%; {nginx} {}
                auth_basic \"in\"; auth_basic_user_file %dir%/htpasswd; }}",
            rules.0
        ),
        &format!(
            "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n{tidegate}\naccess = {}\n\
             auth_basic = {{ realm = \"in\", users = {{ from_file = \"htpasswd\" }} }}\n",
            rules.1
        ),
    );
    [("10.0.0.1", PAM), ("10.0.0.1", ""), ("192.0.2.1", PAM), ("192.0.2.1", "")]
        .map(|(address, credentials)| ask(&proxy, "/", address, credentials))
}

const RULES: (&str, &str) = ("allow 10.0.0.0/8; deny all;", "[\"allow 10.0.0.0/8\", \"deny all\"]");

fn satisfy_all(subject: Subject) {
    let wanted = [(200, false), (401, true), (403, false), (403, false)];
    assert_eq!(both_ways(subject, "", "", RULES), wanted, "the default");
    assert_eq!(both_ways(subject, "satisfy all;", "satisfy = \"all\"", RULES), wanted);
}

/// Neither is a 401 with its challenge.
fn satisfy_any(subject: Subject) {
    let found = both_ways(subject, "satisfy any;", "satisfy = \"any\"", RULES);
    assert_eq!(found, [(200, false), (200, false), (200, false), (401, true)]);
}

/// A list that says nothing of an address is no way in.
fn satisfy_any_without_a_matching_rule(subject: Subject) {
    let rules = ("deny 10.0.0.0/8;", "[\"deny 10.0.0.0/8\"]");
    let found = both_ways(subject, "satisfy any;", "satisfy = \"any\"", rules);
    assert_eq!(found, [(200, false), (401, true), (200, false), (401, true)]);
}
