//! `ssl_stapling`: what the responder that a certificate names says is sent along.

use std::sync::Arc;

use tidegate_tests::ocsp::{Responder, Says};
use tidegate_tests::{Authority, Subject, TlsClient, both, eventually};

both!(a_response_is_fetched, a_revocation_is_not_stapled);

const NGINX: &str = "server { listen %listen% ssl; server_name example.com; ssl_certificate %dir%/server.pem; \
    ssl_certificate_key %dir%/server.key; ssl_stapling on; ssl_stapling_verify on; \
    ssl_trusted_certificate %dir%/ca.pem; location / { return 204; } }";

const TIDEGATE: &str = r#"
[[listeners]]
address = "127.0.0.1:0"
tls = true
[[sites]]
names = ["example.com"]
tls = { certificate = "server.pem", key = "server.key", ocsp = "fetch" }
[[sites.routes]]
match = "/"
respond = { status = 204 }
"#;

fn start(subject: Subject, authority: &Authority, responder: &Responder) -> tidegate_tests::Proxy {
    let server = authority.issue_answered(&["example.com"], &responder.url());
    subject
        .setup()
        .nginx(NGINX)
        .tidegate(TIDEGATE)
        .file("server.pem", format!("{}{}", server.certificate, authority.certificate()))
        .file("server.key", server.key)
        .file("ca.pem", authority.certificate())
        .start()
}

fn stapled(proxy: &tidegate_tests::Proxy, authority: &Authority) -> Vec<u8> {
    let client = TlsClient::new(authority, "example.com");
    client.connect(proxy.address());
    client.staple()
}

fn a_response_is_fetched(subject: Subject) {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    let proxy = start(subject, &authority, &responder);
    // nginx asks when it is asked first, and each of its workers does.
    eventually("a response", || responder.answers().contains(&stapled(&proxy, &authority)));
}

fn a_revocation_is_not_stapled(subject: Subject) {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    responder.says(Says::Revoked);
    let proxy = start(subject, &authority, &responder);
    eventually("an answer", || {
        assert!(stapled(&proxy, &authority).is_empty());
        !responder.answers().is_empty()
    });
    for _ in 0..10 {
        assert!(stapled(&proxy, &authority).is_empty());
    }
}
