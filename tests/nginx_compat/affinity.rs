//! The stock plugin affinity maps keys as `hash … consistent` does.

use tidegate_tests::{Backend, Proxy, Subject};

/// Who answers for each key.
fn homes(proxy: &Proxy) -> Vec<String> {
    let home = |room: u32| {
        let (head, body) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Room: room/{room}\r\n\r\n"));
        assert_eq!(head.status(), 200);
        body.text()
    };
    (0..150).map(home).collect()
}

#[test]
fn keys_have_the_same_peers_as_with_nginx() {
    let backends = [Backend::named("a"), Backend::named("b"), Backend::named("c"), Backend::named("d")];
    let (mut nginx, mut toml) = (String::new(), String::new());
    for (backend, (there, here)) in
        backends.iter().zip([("", ""), ("weight=3", ", weight = 3"), ("down", ", down = true"), ("", "")])
    {
        nginx.push_str(&format!("server {} {there};\n", backend.address()));
        toml.push_str(&format!("{{ address = \"{}\"{here} }}, ", backend.address()));
    }
    let model = Subject::Nginx.setup().nginx(&format!(
        "upstream u {{ hash $http_x_room consistent; {nginx} }}
         server {{ listen %listen%; location / {{ proxy_pass http://u; }} }}"
    ));
    let ours = Subject::Tidegate.setup().tidegate(&format!(
        "[plugins.affinity]\nconfig = {{ by = {{ header = \"X-Room\" }} }}\n\
         [upstreams.u]\nbalancer = \"affinity\"\npeers = [{toml}]\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n"
    ));
    let wanted = homes(&model.start());
    assert_eq!(homes(&ours.start()), wanted);
    assert!(["a", "b", "d"].iter().all(|name| wanted.iter().any(|home| home == name)), "{wanted:?}");
    assert_eq!(backends[2].connections(), 0);
}
