//! `/metrics`: the proxy's numbers, and those of plugins.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tidegate::config;
use tidegate::server::Server;
use tidegate_tests::Backend;
use tidegate_tests::guests::guest;

fn ask(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Text in Prometheus form: what was counted, and what a guest registered and counted.
#[test]
fn what_happened_is_counted() {
    let backend = Backend::named("ok");
    let text = format!(
        "[server]\nworkers = 1\n[admin]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [plugins.greeter]\ncomponent = {:?}\nconfig = {{ greeting = \"hi\" }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/ok\"\nupstream = \"{}\"\nplugins = [\"greeter\"]\n",
        guest("greeter"),
        backend.address()
    );
    let server = Server::start(&config::load_str(&text, Path::new("."), "test.toml").unwrap()).unwrap();
    let (proxy, admin) = (server.addresses()[0], server.admin_address().unwrap());
    assert!(ask(proxy, "/ok").starts_with("HTTP/1.1 200 "));
    assert!(ask(proxy, "/elsewhere").starts_with("HTTP/1.1 404 "));
    let metrics = ask(admin, "/metrics");
    for line in [
        "tidegate_requests_total 2",
        "tidegate_responses_total{class=\"2xx\"} 1",
        "tidegate_responses_total{class=\"4xx\"} 1",
        "tidegate_tunnels_open 0",
        "tidegate_hook_calls_total{plugin=\"greeter\",hook=\"request-headers\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "no `{line}` in\n{metrics}");
    }
    assert!(metrics.contains("tidegate_plugin_") && metrics.contains("plugin=\"greeter\""), "{metrics}");
    assert!(ask(admin, "/other").starts_with("HTTP/1.1 404 "));
}

/// RFC 9110 section 9.3.2: HEAD is answered as GET would be, without the body.
#[test]
fn an_answer_of_the_proxys_own_to_head() {
    let text = "[server]\nworkers = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/ok\"\nupstream = \"127.0.0.1:1\"\n";
    let server = Server::start(&config::load_str(text, Path::new("."), "test.toml").unwrap()).unwrap();
    let mut stream = TcpStream::connect(server.addresses()[0]).unwrap();
    write!(stream, "HEAD /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("content-length: 16\r\n"), "{answer}");
}
