//! `upstream`: the order of weighted round robin.

use tidegate_tests::{Backend, Subject, both, ws};

both!(orders, handshakes_and_requests_share_the_order);

fn order(subject: Subject, weights: &[u32], requests: usize) -> String {
    let names = ["a", "b", "c", "d"];
    let backends: Vec<_> = names[..weights.len()].iter().map(|name| Backend::named(name)).collect();
    let (mut nginx, mut toml) = (String::new(), String::new());
    for (backend, weight) in backends.iter().zip(weights) {
        nginx.push_str(&format!("server {} weight={weight};\n", backend.address()));
        toml.push_str(&format!("{{ address = \"{}\", weight = {weight} }}, ", backend.address()));
    }
    let proxy = subject
        .setup()
        .nginx(&format!("upstream u {{ {nginx} }} server {{ listen %listen%; location / {{ proxy_pass http://u; }} }}"))
        .tidegate(&format!(
            "[upstreams.u]\npeers = [{toml}]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n"
        ))
        .start();
    (0..requests).map(|_| proxy.get("/").1.text()).collect()
}

fn orders(subject: Subject) {
    let table: [(&[u32], &str); 5] = [
        (&[1, 1, 1], "abcabc"),
        (&[3, 1, 1], "abacaabaca"),
        (&[5, 1, 1], "aabacaaaabacaa"),
        (&[1, 2, 3], "cbacbc"),
        (&[4, 3, 2, 1], "abcabdacba"),
    ];
    for (weights, wanted) in table {
        assert_eq!(order(subject, weights, wanted.len()), wanted, "{weights:?}");
    }
}

fn handshakes_and_requests_share_the_order(subject: Subject) {
    let backends = [Backend::ws_echo(), Backend::ws_echo()];
    let proxy = subject
        .setup()
        .nginx("upstream u { server %a%; server %b%; } server { listen %listen%; location / { proxy_pass http://u; %guide% } }")
        .tidegate("[upstreams.u]\npeers = [\"%a%\", \"%b%\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n")
        .var("a", backends[0].address())
        .var("b", backends[1].address())
        .start();
    let _first = proxy.open("/ws");
    proxy.get("/");
    let _third = proxy.open("/ws");
    let asked = |i: usize| -> Vec<bool> {
        backends[i].heads().iter().map(|h| h.get("sec-websocket-key") == Some(ws::KEY)).collect()
    };
    assert_eq!((asked(0), asked(1)), (vec![true, true], vec![false]));
}
