//! `max_fails` and `fail_timeout`: when failures take a peer out, and what brings it back.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_tests::backend::Refusing;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Head, Proxy, Response, Subject, Wire, both, eventually, wait_for};

both!(
    one_failure_takes_a_peer_out,
    max_fails_counts,
    zero_never_takes_it_out,
    a_single_peer_is_never_taken_out,
    where_all_have_failed_none_is_asked,
    one_request_tries_it,
    an_answer_within_fail_timeout_forgives_nothing,
);

/// Two peers with the same words in both languages, such as `max_fails=2 fail_timeout=1s`.
fn pair(subject: Subject, words: &str, a: SocketAddr, b: SocketAddr) -> Proxy {
    let keys: Vec<String> = words
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(
            |(key, value)| if key == "max_fails" { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") },
        )
        .collect();
    let keys: String = keys.iter().map(|key| format!(", {key}")).collect();
    subject
        .setup()
        .nginx(&format!(
            "upstream u {{ server %a% {words}; server %b% {words}; }}
             server {{ listen %listen%; location / {{
                 proxy_pass http://u; add_header X-Tries $upstream_addr always; }} }}"
        ))
        .tidegate(&format!(
            "[upstreams.u]\npeers = [{{ address = \"%a%\"{keys} }}, {{ address = \"%b%\"{keys} }}]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n\
             append_response_headers = {{ X-Tries = \"$upstream_addr\" }}\n"
        ))
        .var("a", a.to_string())
        .var("b", b.to_string())
        .start()
}

fn tries(head: &Head) -> String {
    head.get("x-tries").unwrap_or_default().to_owned()
}

fn asked(proxy: &Proxy, requests: usize) -> Vec<String> {
    (0..requests).map(|_| tries(&proxy.get("/").0)).collect()
}

fn one_failure_takes_a_peer_out(subject: Subject) {
    let (a, b) = (Refusing::new(), Backend::named("b"));
    let proxy = pair(subject, "", a.address(), b.address());
    let mut wanted = vec![b.address().to_string(); 5];
    wanted[0] = format!("{}, {}", a.address(), b.address());
    assert_eq!(asked(&proxy, 5), wanted);
}

fn max_fails_counts(subject: Subject) {
    let (a, b) = (Refusing::new(), Backend::named("b"));
    let proxy = pair(subject, "max_fails=3", a.address(), b.address());
    let to_a = asked(&proxy, 20).iter().filter(|tries| tries.contains(&a.address().to_string())).count();
    assert_eq!(to_a, 3);
}

fn zero_never_takes_it_out(subject: Subject) {
    let (a, b) = (Refusing::new(), Backend::named("b"));
    let proxy = pair(subject, "max_fails=0", a.address(), b.address());
    let to_a = asked(&proxy, 20).iter().filter(|tries| tries.contains(&a.address().to_string())).count();
    assert!(to_a >= 9, "{to_a}");
}

fn a_single_peer_is_never_taken_out(subject: Subject) {
    let port = HeldPort::new();
    let proxy = subject
        .setup()
        .nginx("upstream u { server %a%; } server { listen %listen%; location / { proxy_pass http://u; } }")
        .tidegate("[upstreams.u]\npeers = [\"%a%\"]\n[[sites]]\nroutes = [{ match = \"/\", upstream = \"u\" }]\n")
        .var("a", port.address())
        .start();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").0.status(), 502);
    }
    let _backend = Backend::named_on(port.listen(), "back");
    assert_eq!(proxy.get("/").1.text(), "back", "at once");
}

fn where_all_have_failed_none_is_asked(subject: Subject) {
    let (a, b) = (HeldPort::new(), Refusing::new());
    let proxy = pair(subject, "fail_timeout=2s", a.address(), b.address());
    let began = Instant::now();
    assert_eq!(asked(&proxy, 1), [format!("{}, {}", a.address(), b.address())]);
    let back = Backend::named_on(a.listen(), "back");
    let (head, _) = proxy.get("/");
    if began.elapsed() < Duration::from_secs(1) {
        assert_eq!((head.status(), back.connections()), (502, 0), "it is not asked yet");
    }
    eventually("the peer to be tried again", || proxy.get("/").0.status() == 200);
}

/// After `fail_timeout` one request is sent to the peer. Until it is answered, the others go
/// elsewhere; its answer brings the peer back.
fn one_request_tries_it(subject: Subject) {
    let (a, b) = (HeldPort::new(), Backend::named("b"));
    let proxy = pair(subject, "fail_timeout=2s", a.address(), b.address());
    assert_eq!(asked(&proxy, 1), [format!("{}, {}", a.address(), b.address())]);
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(Some(wait));
    let back = Backend::http_on(a.listen(), move |_| {
        if let Some(wait) = wait.lock().take() {
            wait.recv().unwrap();
        }
        Response::text("a")
    });
    let mut asked_b = b.heads().len();
    let mut trial = wait_for("a request that tries the peer", || {
        let mut wire = send(&proxy);
        eventually("the request to be somewhere", || back.connections() > 0 || b.heads().len() > asked_b);
        asked_b = b.heads().len();
        if back.connections() > 0 {
            return Some(wire);
        }
        wire.read_response();
        None
    });
    let tried = Instant::now();
    for _ in 0..6 {
        let (head, body) = proxy.get("/");
        if tried.elapsed() < Duration::from_secs(1) {
            assert_eq!((tries(&head), body.text()), (b.address().to_string(), "b".to_owned()));
        }
    }
    go.send(()).unwrap();
    assert_eq!(trial.read_response().1.text(), "a");
    let answers: String = (0..6).map(|_| proxy.get("/").1.text()).collect();
    assert_eq!(answers.matches('a').count(), 3, "{answers}");
}

fn send(proxy: &Proxy) -> Wire {
    let mut wire = proxy.connect();
    wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wire
}

/// nginx forgets failures only by an answer to a request that was sent later than `fail_timeout`
/// after the last one.
fn an_answer_within_fail_timeout_forgives_nothing(subject: Subject) {
    let (a, b) = (HeldPort::new(), Backend::named("b"));
    let proxy = pair(subject, "max_fails=2 fail_timeout=1m", a.address(), b.address());
    let to_a = |proxy: &Proxy| tries(&proxy.get("/").0).contains(&a.address().to_string());
    eventually("the first failure", || to_a(&proxy));
    let back = Backend::named_on(a.listen(), "a");
    eventually("an answer", || proxy.get("/").1.text() == "a");
    eventually("another one", || proxy.get("/").1.text() == "a");
    // The second failure is the last, whatever was answered between.
    back.join();
    eventually("the second failure", || to_a(&proxy));
    assert!((0..10).all(|_| !to_a(&proxy)));
}
