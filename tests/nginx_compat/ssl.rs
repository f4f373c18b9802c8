//! `ssl_…`: what a client sees of TLS.

use rustls::{CipherSuite, ProtocolVersion};
use tidegate_tests::ws::Frame;
use tidegate_tests::{Authority, Backend, Proxy, Setup, Subject, TlsClient, both};

both!(
    a_tunnel_through_tls,
    certificates_by_name,
    versions_and_ciphers,
    sessions_are_resumed,
    rejected_names,
    what_the_backend_is_told,
    plain_http_on_a_tls_port,
    error_page_497,
    error_page_497_of_the_server,
    the_client_s_certificate,
);

const NGINX: &str = r"
ssl_protocols TLSv1.2 TLSv1.3;
server {
    listen %listen% ssl;
    server_name example.com;
    ssl_certificate %dir%/first.pem;
    ssl_certificate_key %dir%/first.key;
    %more%
    location / {
        proxy_pass http://%backend%;
        %guide%
    }
    location = /facts { return 200 '$ssl_protocol $ssl_server_name $ssl_session_reused $scheme\n'; }
}
%servers%
";

const TIDEGATE: &str = r#"
[server]
workers = 1
[[listeners]]
address = "127.0.0.1:0"
tls = { %more% }
[[sites]]
names = ["example.com"]
tls = { certificate = "first.pem", key = "first.key" }
[[sites.routes]]
match = "/"
upstream = "%backend%"
[[sites.routes]]
match = "= /facts"
respond = { status = 200, body = "$ssl_protocol $ssl_server_name $ssl_session_reused $scheme\n" }
%servers%
"#;

fn with(subject: Subject, authority: &Authority, more: (&str, &str), servers: (&str, &str)) -> Setup {
    let (first, second) = (authority.issue(&["example.com"]), authority.issue(&["*.example.org"]));
    subject
        .setup()
        .nginx(&NGINX.replace("%more%", more.0).replace("%servers%", servers.0))
        .tidegate(&TIDEGATE.replace("%more%", more.1).replace("%servers%", servers.1))
        .file("first.pem", first.certificate)
        .file("first.key", first.key)
        .file("second.pem", second.certificate)
        .file("second.key", second.key)
}

fn get(client: &TlsClient, address: std::net::SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut wire = client.connect(address);
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let head = wire.read_head();
    let (status, length) = (head.status(), head.get("content-length").and_then(|length| length.parse().ok()));
    let body = wire.read_exact(length.unwrap_or(0));
    (status, String::from_utf8(body).unwrap())
}

fn a_tunnel_through_tls(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with(subject, &authority, ("", ""), ("", "")).var("backend", backend.address()).start();
    let mut wire = TlsClient::new(&authority, "example.com").connect(proxy.address());
    wire.upgrade("/ws");
    for size in [1, 125, 20_000, 300_000] {
        wire.echo(&Frame::binary(&vec![0x5A; size]));
    }
    wire.echo(&Frame::close(1000));
    wire.expect_close();
}

const SECOND: (&str, &str) = (
    r"server {
        listen %listen% ssl;
        server_name *.example.org;
        ssl_certificate %dir%/second.pem;
        ssl_certificate_key %dir%/second.key;
        location / { return 200 'second\n'; }
    }",
    r#"
    [[sites]]
    names = ["*.example.org"]
    tls = { certificate = "second.pem", key = "second.key" }
    [[sites.routes]]
    match = "/"
    respond = { status = 200, body = "second\n" }
    "#,
);

fn certificates_by_name(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with(subject, &authority, ("", ""), SECOND).var("backend", backend.address()).start();
    let first = TlsClient::new(&authority, "example.com");
    let second = TlsClient::new(&authority, "chat.example.org");
    assert_eq!(get(&first, proxy.address(), "example.com", "/facts").1, "TLSv1.3 example.com . https\n");
    assert_eq!(get(&second, proxy.address(), "chat.example.org", "/"), (200, "second\n".to_owned()));
    // The name in Host says the site, whatever the handshake was for.
    assert_eq!(get(&first, proxy.address(), "chat.example.org", "/"), (200, "second\n".to_owned()));
    let stranger = TlsClient::new(&authority, "nobody.test").try_connect(proxy.address()).unwrap_err();
    assert!(stranger.contains("not valid for name"), "{stranger}");
}

fn versions_and_ciphers(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let more = (
        "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256; ssl_ecdh_curve secp384r1;",
        r#"versions = ["1.2"], ciphers = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"], curves = ["secp384r1"]"#,
    );
    let proxy = with(subject, &authority, more, ("", "")).var("backend", backend.address()).start();
    let (_, session) = TlsClient::new(&authority, "example.com").connect_seeing(proxy.address());
    assert_eq!(session.protocol, ProtocolVersion::TLSv1_2);
    assert_eq!(session.cipher, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert_eq!(session.curve.map(|curve| format!("{curve:?}")).as_deref(), Some("secp384r1"));
    let modern = TlsClient::with(&authority, "example.com", &[&rustls::version::TLS13], None);
    modern.try_connect(proxy.address()).unwrap_err();
}

fn sessions_are_resumed(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let more = ("ssl_session_cache shared:tls:1m;", "");
    let proxy = with(subject, &authority, more, ("", "")).var("backend", backend.address()).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::with(&authority, "example.com", &[version], None);
        assert!(get(&client, proxy.address(), "example.com", "/facts").1.ends_with(" example.com . https\n"));
        assert!(get(&client, proxy.address(), "example.com", "/facts").1.ends_with(" example.com r https\n"));
    }
}

fn rejected_names(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let servers = (
        "server { listen %listen% ssl default_server; ssl_reject_handshake on; }",
        "[[sites]]\ndefault = true\nreject_handshake = true\n[[sites.routes]]\nmatch = \"/\"\nrespond = { status = 444 }",
    );
    let proxy = with(subject, &authority, ("", ""), servers).var("backend", backend.address()).start();
    let known = TlsClient::new(&authority, "example.com");
    assert_eq!(get(&known, proxy.address(), "example.com", "/facts").0, 200);
    known.named("nobody.test").try_connect(proxy.address()).unwrap_err();
}

fn what_the_backend_is_told(subject: Subject) {
    let authority = Authority::new();
    let backend = Backend::script(|mut wire, _| {
        let head = wire.read_head();
        assert_eq!(head.get("x-forwarded-proto"), Some("https"));
        assert_eq!(head.get("host"), Some("example.com"));
        wire.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    let proxy = with(subject, &authority, ("", ""), ("", "")).var("backend", backend.address()).start();
    assert_eq!(get(&TlsClient::new(&authority, "example.com"), proxy.address(), "example.com", "/").0, 204);
    backend.join();
}

fn plain_http_on_a_tls_port(subject: Subject) {
    let (backend, authority) = (Backend::ws_echo(), Authority::new());
    let proxy = with(subject, &authority, ("", ""), ("", "")).var("backend", backend.address()).start();
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(head.status(), 400);
}

/// A server with TLS that has pages for plain HTTP.
fn with_pages(subject: Subject, authority: &Authority, nginx: &str, tidegate: &str) -> Proxy {
    let server = authority.issue(&["example.com"]);
    let nginx = format!(
        "server {{ listen %listen% ssl; server_name example.com; ssl_certificate %dir%/server.pem; \
         ssl_certificate_key %dir%/server.key; {nginx} }}"
    );
    let tidegate = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\ntls = true\n[[sites]]\nnames = [\"example.com\"]\n\
         tls = {{ certificate = \"server.pem\", key = \"server.key\" }}\n{tidegate}"
    );
    let setup = subject.setup().nginx(&nginx).tidegate(&tidegate);
    setup.file("server.pem", server.certificate).file("server.key", server.key).start()
}

fn error_page_497(subject: Subject) {
    let authority = Authority::new();
    for (nginx, tidegate, status) in [("497", "497", 302), ("497 =301", "497 =301", 301), ("497 =308", "497 =308", 308)]
    {
        let proxy = with_pages(
            subject,
            &authority,
            &format!("error_page {nginx} https://$host:$server_port$request_uri; location / {{ return 200 'in\\n'; }}"),
            &format!(
                "error_pages = {{ \"{tidegate}\" = \"https://$host:$server_port$request_uri\" }}\n\
                 [[sites.routes]]\nmatch = \"/\"\nrespond = {{ status = 200, body = \"in\\n\" }}\n"
            ),
        );
        let port = proxy.address().port();
        for (host, path) in [("example.com", "/a%20b?c=d"), ("Example.COM:80", "//x/../y?"), ("other.test", "/")] {
            let mut wire = proxy.connect();
            wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let (head, _) = wire.read_response();
            let name = host.split(':').next().unwrap().to_lowercase();
            let to = format!("https://{name}:{port}{path}");
            assert_eq!((head.status(), head.get("location")), (status, Some(to.as_str())), "{host}");
            // What follows on such a connection is no more in its place than this was.
            assert!(head.lists("connection", "close"));
            wire.expect_close();
        }
        // A handshake is sent on as well, and what is no request is none here either.
        let (head, _) = proxy.ask(tidegate_tests::ws::handshake("/ws", ""));
        assert_eq!(head.status(), status);
        assert_eq!(proxy.ask("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").0.status(), 400);
        let client = TlsClient::new(&authority, "example.com");
        assert_eq!(get(&client, proxy.address(), "example.com", "/"), (200, "in\n".to_owned()));
    }
}

fn error_page_497_of_the_server(subject: Subject) {
    let authority = Authority::new();
    let proxy = with_pages(
        subject,
        &authority,
        "error_page 497 /497.txt; location = /497.txt { return 200 'over TLS, please\n'; }
         location / { error_page 404 /404.txt; return 403; } location /sent { return 200 'in\n'; }",
        r#"
        error_pages = { "497" = "/497.txt" }
        [[sites.routes]]
        match = "= /497.txt"
        respond = { status = 200, body = "over TLS, please\n" }
        [[sites.routes]]
        match = "/"
        error_pages = { "404" = "/404.txt" }
        respond = { status = 403 }
        [[sites.routes]]
        match = "/sent"
        respond = { status = 200, body = "in\n" }
        "#,
    );
    // Whatever the location has to say, the server's page is shown, and its status is 400.
    for path in ["/", "/sent", "/497.txt"] {
        let (head, body) = proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n"));
        assert_eq!((head.status(), body.text().as_str()), (400, "over TLS, please\n"), "{path}");
    }
}

fn the_client_s_certificate(subject: Subject) {
    let (backend, authority, clients) = (Backend::ws_echo(), Authority::new(), Authority::named("clients"));
    let facts = "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn|$ssl_client_serial|$ssl_client_fingerprint|\
                 $ssl_client_v_start|$ssl_client_v_end|$ssl_client_escaped_cert";
    let servers = (
        format!(
            "server {{ listen %listen% ssl; server_name private.example.org; ssl_certificate %dir%/second.pem; \
             ssl_certificate_key %dir%/second.key; ssl_verify_client optional; \
             ssl_client_certificate %dir%/clients.pem; location / {{ return 200 '{facts}\\n'; }} }}"
        ),
        format!(
            "[[sites]]\nnames = [\"private.example.org\"]\ntls = {{ certificate = \"second.pem\", key = \"second.key\" }}\n\
             client_auth = {{ mode = \"optional\", ca = \"clients.pem\" }}\n[[sites.routes]]\nmatch = \"/\"\n\
             respond = {{ status = 200, body = \"{facts}\\n\" }}\n"
        ),
    );
    let proxy = with(subject, &authority, ("", ""), (&servers.0, &servers.1))
        .var("backend", backend.address())
        .file("clients.pem", clients.certificate())
        .start();
    let shown = clients.issue_client("someone");
    let versions = [&rustls::version::TLS13];
    let with = TlsClient::with(&authority, "private.example.org", &versions, Some(&shown));
    let (status, text) = get(&with, proxy.address(), "private.example.org", "/");
    let parts: Vec<&str> = text.trim_end().split('|').collect();
    assert_eq!((status, parts[0]), (200, "SUCCESS"), "{text}");
    assert_eq!(parts[1], "O=Tests\\, Inc.,CN=someone");
    assert_eq!(parts[2], "CN=clients");
    assert_eq!(parts[3], shown.serial());
    assert_eq!(parts[4], shown.fingerprint());
    assert_eq!(parts[5], "Jan  1 00:00:00 1975 GMT");
    assert_eq!(parts[6], "Jan  1 00:00:00 4096 GMT");
    let pem = shown.certificate.replace("\r\n", "\n");
    assert_eq!(parts[7], escaped(&pem));
    let without = TlsClient::with(&authority, "private.example.org", &versions, None);
    assert_eq!(get(&without, proxy.address(), "private.example.org", "/"), (200, "NONE|||||||\n".to_owned()));
}

fn escaped(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if kept(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
