//! `ssl_verify_client`, `ssl_verify_depth`, `ssl_crl`: who is let in by a certificate.

use tidegate_tests::certificates::Certified;
use tidegate_tests::{Authority, Setup, Subject, TlsClient, both};

both!(
    an_expired_list_lets_nobody_in,
    a_revoked_client_is_not_let_in,
    certificates_between_are_counted,
    unknown_issuers_are_let_in_and_told_of,
);

/// A server that asks clients for certificates, by these directives and keys.
fn with(subject: Subject, authority: &Authority, clients: &Authority, nginx: &str, keys: &str) -> Setup {
    let server = authority.issue(&["example.com"]);
    let nginx = format!(
        "server {{ listen %listen% ssl; server_name example.com; ssl_protocols TLSv1.3; ssl_certificate %dir%/server.pem; \
         ssl_certificate_key %dir%/server.key; ssl_client_certificate %dir%/clients.pem; {nginx} \
         location / {{ return 200 '$ssl_client_verify'; }} }}"
    );
    let tidegate = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\ntls = true\n[[sites]]\nnames = [\"example.com\"]\n\
         tls = {{ certificate = \"server.pem\", key = \"server.key\" }}\n\
         client_auth = {{ ca = \"clients.pem\"{keys} }}\n\
         [[sites.routes]]\nmatch = \"/\"\nrespond = {{ status = 200, body = \"$ssl_client_verify\" }}\n"
    );
    subject
        .setup()
        .nginx(&nginx)
        .tidegate(&tidegate)
        .file("server.pem", server.certificate)
        .file("server.key", server.key)
        .file("clients.pem", clients.certificate())
}

/// What the server says of a client; none where it is not let in. nginx shakes hands with it all the
/// same and answers 400, rustls refuses the handshake, which the client of TLS 1.3 sees when it reads.
fn said(proxy: &tidegate_tests::Proxy, authority: &Authority, shown: Option<&Certified>) -> Option<String> {
    let client = TlsClient::with(authority, "example.com", &[&rustls::version::TLS13], shown);
    let (mut wire, _) = client.try_connect(proxy.address()).ok()?;
    wire.send("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    let text = String::from_utf8(wire.read_until_close()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

fn an_expired_list_lets_nobody_in(subject: Subject) {
    let (authority, clients) = (Authority::new(), Authority::named("clients"));
    let shown = clients.issue_client("someone");
    for (year, wanted) in [(2100, Some("SUCCESS")), (2021, None)] {
        let nginx = "ssl_verify_client on; ssl_crl %dir%/clients.crl;";
        let proxy = with(subject, &authority, &clients, nginx, ", crl = \"clients.crl\"")
            .file("clients.crl", clients.revoke_until(&[], year))
            .start();
        assert_eq!(said(&proxy, &authority, Some(&shown)).as_deref(), wanted, "{year}");
    }
}

fn a_revoked_client_is_not_let_in(subject: Subject) {
    let (authority, clients) = (Authority::new(), Authority::named("clients"));
    let (good, revoked) = (clients.issue_client("good"), clients.issue_client("revoked"));
    let nginx = "ssl_verify_client on; ssl_crl %dir%/clients.crl;";
    let proxy = with(subject, &authority, &clients, nginx, ", crl = \"clients.crl\"")
        .file("clients.crl", clients.revoke(&[&revoked]))
        .start();
    assert_eq!(said(&proxy, &authority, Some(&good)).as_deref(), Some("SUCCESS"));
    assert_eq!(said(&proxy, &authority, Some(&revoked)), None);
    assert_eq!(said(&proxy, &authority, None), None);
}

fn certificates_between_are_counted(subject: Subject) {
    let (authority, clients) = (Authority::new(), Authority::named("clients"));
    let one = clients.below("one between");
    let two = one.below("two between");
    let shown = [clients.issue_client("direct"), one.issue_client("one"), two.issue_client("two")];
    for (nginx, key, wanted) in [
        ("", "", [true, true, false]),
        ("ssl_verify_depth 0;", ", depth = 0", [true, false, false]),
        ("ssl_verify_depth 2;", ", depth = 2", [true, true, true]),
    ] {
        let nginx = format!("ssl_verify_client on; {nginx}");
        let proxy = with(subject, &authority, &clients, &nginx, key).start();
        let let_in = shown.each_ref().map(|shown| said(&proxy, &authority, Some(shown)).is_some());
        assert_eq!(let_in, wanted, "{nginx}");
    }
}

fn unknown_issuers_are_let_in_and_told_of(subject: Subject) {
    let (authority, clients, others) = (Authority::new(), Authority::named("clients"), Authority::named("others"));
    let proxy =
        with(subject, &authority, &clients, "ssl_verify_client optional_no_ca;", ", mode = \"optional_no_ca\"").start();
    assert_eq!(said(&proxy, &authority, None).as_deref(), Some("NONE"));
    assert_eq!(said(&proxy, &authority, Some(&clients.issue_client("known"))).as_deref(), Some("SUCCESS"));
    let told = said(&proxy, &authority, Some(&others.issue_client("unknown"))).unwrap();
    assert!(told.starts_with("FAILED:unable to "), "{told}");
    let told = said(&proxy, &authority, Some(&Certified::by_itself(&["client"]))).unwrap();
    assert!(told.starts_with("FAILED:"), "{told}");
}
