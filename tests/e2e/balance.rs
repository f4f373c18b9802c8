//! Round robin, smooth by weight, in nginx's order.

use tidegate_tests::ws;
use tidegate_tests::{Backend, Proxy, Subject, both};

both!(weights_give_the_smooth_order, handshakes_take_turns_too, a_peer_that_is_down_is_left_out);

fn three(subject: Subject, nginx: &str, tidegate: &str, backends: &[Backend; 3]) -> Proxy {
    let mut setup = subject
        .setup()
        .nginx(&format!(
            "upstream three {{ {nginx} }}
             server {{ listen %listen%; location / {{ proxy_pass http://three; %guide% }} }}"
        ))
        .tidegate(&format!(
            "[upstreams.three]\npeers = [{tidegate}]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"three\"\n"
        ));
    for (name, backend) in ["a", "b", "c"].iter().zip(backends) {
        setup = setup.var(name, backend.address());
    }
    setup.start()
}

fn named() -> [Backend; 3] {
    [Backend::named("a"), Backend::named("b"), Backend::named("c")]
}

fn order(proxy: &Proxy, requests: usize) -> String {
    (0..requests).map(|_| proxy.get("/").1.text()).collect()
}

fn weights_give_the_smooth_order(subject: Subject) {
    let backends = named();
    let proxy = three(
        subject,
        "server %a% weight=3; server %b%; server %c%;",
        r#"{ address = "%a%", weight = 3 }, { address = "%b%", weight = 1 }, "%c%""#,
        &backends,
    );
    assert_eq!(order(&proxy, 10), "abacaabaca");
}

fn handshakes_take_turns_too(subject: Subject) {
    let backends = [Backend::ws_echo(), Backend::ws_echo(), Backend::ws_echo()];
    let proxy = three(subject, "server %a%; server %b%; server %c%;", r#""%a%", "%b%", "%c%""#, &backends);
    let tunnels: Vec<_> = (0..6).map(|_| proxy.open("/ws")).collect();
    for backend in &backends {
        assert_eq!(backend.connections(), 2);
        assert!(backend.heads().iter().all(|head| head.get("sec-websocket-key") == Some(ws::KEY)));
    }
    drop(tunnels);
}

fn a_peer_that_is_down_is_left_out(subject: Subject) {
    let backends = named();
    let proxy = three(
        subject,
        "server %a% weight=2; server %b% down; server %c%;",
        r#"{ address = "%a%", weight = 2 }, { address = "%b%", down = true }, "%c%""#,
        &backends,
    );
    assert_eq!(order(&proxy, 6), "acaaca");
    assert_eq!(backends[1].connections(), 0);
}
