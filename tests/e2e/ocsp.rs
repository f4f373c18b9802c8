//! OCSP responses that the proxy asks for itself and staples (RFC 6960, RFC 6066 §8).

use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::ocsp::{Responder, Says};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Authority, Proxy, Setup, TlsClient, eventually, tidegate};

const CONFIG: &str = r#"
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

/// A proxy whose certificate names this responder.
fn with(authority: &Authority, text: &str, url: &str) -> Setup {
    let server = authority.issue_answered(&["example.com"], url);
    tidegate(text)
        .file("server.pem", format!("{}{}", server.certificate, authority.certificate()))
        .file("server.key", server.key)
        .in_process()
}

/// What is stapled for a new client.
fn stapled(proxy: &Proxy, authority: &Authority) -> Vec<u8> {
    let client = TlsClient::new(authority, "example.com");
    client.connect(proxy.address());
    client.staple()
}

#[test]
fn a_response_is_asked_for_and_stapled() {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    let mut proxy = with(&authority, CONFIG, &responder.url()).start();
    eventually("a response", || !stapled(&proxy, &authority).is_empty());
    assert_eq!(responder.answers(), [stapled(&proxy, &authority)]);
    // Other terms are made of the same certificate: the response is known.
    proxy.reload(&CONFIG.replace("tls = true", "tls = { session_tickets = false }")).unwrap();
    eventually("the same response", || stapled(&proxy, &authority) == responder.answers()[0]);
    assert_eq!(responder.answers().len(), 1);
}

#[test]
fn it_is_asked_for_again_before_it_expires() {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    responder.holds(Duration::from_secs(4));
    let proxy = with(&authority, CONFIG, &responder.url()).start();
    eventually("the first response", || !stapled(&proxy, &authority).is_empty());
    eventually("a second one, while the first is good", || {
        let now = stapled(&proxy, &authority);
        assert!(!now.is_empty(), "there is always one");
        responder.answers().len() > 1 && Some(&now) == responder.answers().last()
    });
}

#[test]
fn what_is_not_good_is_not_stapled() {
    let all = [
        Says::Presumed,
        Says::Forged,
        Says::Expired,
        Says::Early,
        Says::Another,
        Says::Revoked,
        Says::Unknown,
        Says::Later,
        Says::Nonsense,
        Says::Broken,
    ];
    // All at once, since each waits before it asks again.
    let running = all.map(|says| {
        let authority = Arc::new(Authority::new());
        let responder = Responder::start(&authority);
        responder.says(says);
        let proxy = with(&authority, CONFIG, &responder.url()).start();
        (says, authority, responder, proxy)
    });
    for (says, authority, responder, proxy) in &running {
        // Who asks again has not liked the first answer.
        eventually("a second question", || responder.answers().len() >= 2);
        assert!(stapled(proxy, authority).is_empty(), "{says:?}");
        responder.says(Says::Good);
    }
    for (_, authority, _, proxy) in &running {
        eventually("a good response", || !stapled(proxy, authority).is_empty());
    }
}

#[test]
fn a_revoked_certificate_loses_its_response() {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    responder.holds(Duration::from_secs(3600));
    let text = CONFIG.replace("tls = true", "tls = { renew = \"10ms\" }");
    let proxy = with(&authority, &text, &responder.url()).start();
    eventually("a response", || !stapled(&proxy, &authority).is_empty());
    // Another certificate on disk is asked about at once.
    responder.says(Says::Revoked);
    let other = authority.issue_answered(&["example.com"], &responder.url());
    std::fs::write(proxy.dir().join("server.key"), &other.key).unwrap();
    let chain = format!("{}{}", other.certificate, authority.certificate());
    std::fs::write(proxy.dir().join("server.pem"), chain).unwrap();
    eventually("two answers", || responder.answers().len() >= 2);
    eventually("nothing is stapled", || {
        let client = TlsClient::new(&authority, "example.com");
        let (_, session) = client.connect_seeing(proxy.address());
        session.certificate == other.der && client.staple().is_empty()
    });
}

#[test]
fn others_may_answer_for_the_authority() {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    responder.says(Says::Delegated);
    let proxy = with(&authority, CONFIG, &responder.url()).start();
    eventually("a response", || !stapled(&proxy, &authority).is_empty());
}

#[test]
fn signatures_may_be_left_unchecked() {
    let authority = Arc::new(Authority::new());
    let responder = Responder::start(&authority);
    responder.says(Says::Forged);
    let text = CONFIG.replace("\"fetch\" }", "\"fetch\", ocsp_verify = false }");
    let proxy = with(&authority, &text, &responder.url()).start();
    eventually("a response", || !stapled(&proxy, &authority).is_empty());
}

#[test]
fn a_responder_that_is_down_holds_nothing_up() {
    let authority = Arc::new(Authority::new());
    let port = HeldPort::new();
    // The configuration's responder comes before the certificate's.
    let url = format!("http://{}/ocsp", port.address());
    let text = CONFIG.replace("\"fetch\" }", &format!("\"fetch\", ocsp_responder = \"{url}\" }}"));
    let proxy = with(&authority, &text, "http://nowhere.invalid/").start();
    assert!(stapled(&proxy, &authority).is_empty());
    let _responder = Responder::start_on(port.listen(), &authority);
    eventually("a response", || !stapled(&proxy, &authority).is_empty());
}

#[test]
fn what_is_of_no_use_is_told_of() {
    let authority = Authority::new();
    for (keys, wanted) in [
        ("ocsp = \"fetch\", ocsp_responder = \"https://ca.test/\"", "is no URL of http"),
        ("ocsp_responder = \"http://ca.test/\"", "is of no use without `ocsp = \"fetch\"`"),
        ("ocsp_verify = false", "is of no use without `ocsp = \"fetch\"`"),
    ] {
        let text = CONFIG.replace("ocsp = \"fetch\"", keys);
        let problems = with(&authority, &text, "http://ca.test/").try_start().err().unwrap_or_default();
        assert!(problems.contains(wanted) && problems.contains(":7:"), "{keys}: {problems}");
    }
}
