//! The stock plugin `auth-basic`: users from an htpasswd file, in each of its hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Subject, both, tidegate};

both!(
    each_hash_lets_its_user_in,
    others_are_asked_who_they_are,
    the_backend_sees_the_credentials,
    a_handshake_is_checked_too,
    a_route_can_switch_it_off,
);

/// ann: bcrypt of "apple"; leo: SHA-1 of "lemon"; ora: Apache's MD5 of "orange".
const USERS: &str = "# who may come in
ann:$2y$04$uaMz8k2iWfGUh6nk7cyIyOj00crZeXZmtmZ2FURhxaT9xMPl/iucO
leo:{SHA}3917zirZ+J1yBN2DFh1m0eUhdZw=
ora:$apr1$abcdefgh$FdzXT4cypfmXDPBdVLQ320
";

fn guarded(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx(
            r#"auth_basic "Private place"; auth_basic_user_file %dir%/htpasswd;
               location / { proxy_pass http://%backend%; %guide% }
               location /open { proxy_pass http://%backend%; auth_basic off; }"#,
        )
        .tidegate(
            r#"
            [[sites]]
            auth_basic = { realm = "Private place", users = { from_file = "htpasswd" } }
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            [[sites.routes]]
            match = "/open"
            upstream = "%backend%"
            auth_basic = false
            "#,
        )
        .var("backend", backend.address())
        .file("htpasswd", USERS)
        .start()
}

fn authorization(credentials: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(credentials))
}

fn status(proxy: &Proxy, path: &str, line: &str) -> u16 {
    proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{line}\r\n")).0.status()
}

fn each_hash_lets_its_user_in(subject: Subject) {
    let backend = Backend::named("inside");
    let proxy = guarded(subject, &backend);
    let table = [
        ("ann:apple", 200),
        ("leo:lemon", 200),
        ("ora:orange", 200),
        ("ann:apple", 200),
        ("ann:lemon", 401),
        ("leo:apple", 401),
        ("ora:", 401),
        (":orange", 401),
        ("Ann:apple", 401),
        ("ann:apple2", 401),
        ("nobody:apple", 401),
        ("# who may come in:x", 401),
        ("ann", 401),
    ];
    for (credentials, wanted) in table {
        assert_eq!(status(&proxy, "/", &authorization(credentials)), wanted, "{credentials}");
    }
    assert_eq!(backend.heads().len(), 4);
}

fn others_are_asked_who_they_are(subject: Subject) {
    let backend = Backend::named("inside");
    let proxy = guarded(subject, &backend);
    for line in ["", "Authorization: Bearer abc\r\n", "Authorization: Basic ???\r\n", "Authorization: Basic\r\n"] {
        let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
        assert_eq!(head.status(), 401, "{line}");
        let challenge = head.get("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm=\"Private place\""), "{challenge}");
    }
    assert_eq!(backend.connections(), 0);
}

fn the_backend_sees_the_credentials(subject: Subject) {
    let backend = Backend::named("inside");
    let proxy = guarded(subject, &backend);
    let line = authorization("leo:lemon");
    assert_eq!(status(&proxy, "/", &line), 200);
    let sent = line.trim_end().strip_prefix("Authorization: ");
    assert_eq!(backend.only_head().get("authorization"), sent);
}

fn a_handshake_is_checked_too(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = guarded(subject, &backend);
    assert_eq!(proxy.ask(ws::handshake("/ws", "")).0.status(), 401);
    for _ in 0..3 {
        let mut client = proxy.connect();
        client.send(ws::handshake("/ws", &authorization("ann:apple")));
        assert_eq!(client.read_head().status(), 101);
        client.echo(&Frame::text("inside"));
    }
}

fn a_route_can_switch_it_off(subject: Subject) {
    let backend = Backend::named("inside");
    let proxy = guarded(subject, &backend);
    assert_eq!(status(&proxy, "/open", ""), 200);
    assert_eq!(status(&proxy, "/", ""), 401);
}

#[test]
fn the_challenge_names_realm_and_charset() {
    let backend = Backend::named("inside");
    let proxy = guarded(Subject::Tidegate, &backend);
    let (head, _) = proxy.get("/");
    assert_eq!(head.get("www-authenticate"), Some("Basic realm=\"Private place\", charset=\"UTF-8\""));
}

#[test]
fn the_users_name_is_a_variable() {
    let backend = Backend::named("inside");
    let proxy = tidegate(
        r#"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        auth_basic = { realm = "x", users = { from_file = "htpasswd" } }
        set_headers = { X-User = "$remote_user" }
        "#,
    )
    .var("backend", backend.address())
    .file("htpasswd", USERS)
    .start();
    assert_eq!(status(&proxy, "/", &authorization("ora:orange")), 200);
    assert_eq!(backend.only_head().get("x-user"), Some("ora"));
}

#[test]
fn a_broken_users_file_is_a_configuration_problem() {
    let started = tidegate(
        r#"
        [[sites]]
        auth_basic = { realm = "x", users = { from_file = "htpasswd" } }
        routes = [{ match = "/", upstream = "127.0.0.1:1" }]
        "#,
    )
    .file("htpasswd", "ann:$2y$04$uaMz8k2iWfGUh6nk7cyIyOj00crZeXZmtmZ2FURhxaT9xMPl/iucO\nbob:$9$what\n")
    .try_start();
    let problems = started.err().expect("a hash of no known kind is refused");
    assert!(problems.contains("bob") || problems.contains("line 2"), "{problems}");
}

/// Of two authorizers one lets pam in and one ora: who has to say yes is `satisfy`'s to say.
#[test]
fn satisfy_says_how_many_must_accept() {
    let backend = Backend::ws_echo();
    for (satisfy, wanted) in [
        // One that grants ends the asking, one that denies too.
        ("", [Ok(200), Err("one"), Err("one")]),
        ("satisfy = \"all\"", [Err("two"), Err("one"), Err("one")]),
        ("satisfy = \"any\"", [Ok(200), Ok(200), Err("both")]),
    ] {
        let text = format!(
            "[plugins.second]\ncomponent = \"stock:auth-basic\"\n\
             config = {{ realm = \"two\", users = \"ora:{{PLAIN}}orange\" }}\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n{satisfy}\n\
             auth_basic = {{ realm = \"one\", users = \"pam:{{PLAIN}}plum\" }}\nplugins = [\"second\"]\n"
        );
        let proxy = tidegate(&text).var("backend", backend.address()).start();
        // pam:plum, ora:orange, nobody.
        let lines = ["Authorization: Basic cGFtOnBsdW0=\r\n", "Authorization: Basic b3JhOm9yYW5nZQ==\r\n", ""];
        let found = lines.map(|line| {
            let (head, _) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
            match head.all("www-authenticate")[..] {
                [] => Ok(head.status()),
                [realm] if realm.contains("\"one\"") => Err("one"),
                [_] => Err("two"),
                // Each is a way in (RFC 9110 §11.6.1), and nginx tells them all too.
                _ => Err("both"),
            }
        });
        assert_eq!(found, wanted, "{satisfy}");
    }
}
