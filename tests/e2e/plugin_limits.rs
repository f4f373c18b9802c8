//! Each limit of a plugin: the call that passes it fails with a line that names plugin, hook and
//! rule, and nothing else stops. The guest is `greedy`.

use tidegate_tests::guests::guest;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, tidegate};

fn start(settings: &str, backend: &Backend) -> Proxy {
    let text = format!(
        r#"
        [plugins.greedy]
        component = "%greedy%"
        quarantine = false
        {settings}
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["greedy"]
        "#
    );
    tidegate(&text).var("greedy", guest("greedy")).var("backend", backend.address()).binary().start()
}

fn status(proxy: &Proxy, command: &str) -> u16 {
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Do: {command}\r\n\r\n")).0.status()
}

/// What is just within a limit passes; what is above it fails, with a line that has all these.
#[track_caller]
fn holds(settings: &str, within: &str, above: &str, line: &[&str]) {
    let backend = Backend::ws_echo();
    let mut proxy = start(settings, &backend);
    let mut tunnel = proxy.open("/ws");
    for _ in 0..3 {
        assert_eq!(status(&proxy, within), 200, "{within}");
        assert_eq!(status(&proxy, above), 500, "{above}");
        tunnel.echo(&Frame::text("still here"));
    }
    let log = proxy.process().stderr();
    let found = log.lines().find(|l| l.contains("a plugin's call failed")).unwrap_or_else(|| panic!("{log}"));
    for part in line.iter().chain(&["greedy", "request-headers"]) {
        assert!(found.contains(part), "no {part:?} in {found}");
    }
}

#[test]
fn calls_of_the_host() {
    let rule = "it called the host more than 50 times (`host_calls`)";
    holds("host_calls = 50", "calls 40", "calls 60", &["plugin.host_calls", rule]);
    holds("host_calls = 50\ndeadline = \"1s\"", "calls 40", "calls 60", &["plugin.host_calls", rule]);
}

#[test]
fn size_of_answers() {
    let rule = "it gave more than 4096 bytes at once (`output`)";
    holds("output = \"4KiB\"", "bytes 3000", "bytes 5000", &["plugin.bad_answer", rule]);
    holds("output = \"4KiB\"", "edits 10", "edits 1000", &["plugin.bad_answer", rule]);
    holds("output = \"4KiB\"", "log 3000", "log 5000", &[rule]);
}

#[test]
fn deadline() {
    let rule = "it took longer than 20ms (`deadline`)";
    holds("deadline = \"20ms\"", "", "spin", &["plugin.deadline", rule]);
    holds("deadline = \"30ms\"", "", "spin", &["plugin.deadline", "it took longer than 30ms (`deadline`)"]);
}

#[test]
fn stack() {
    holds("", "", "recurse", &["plugin.trap"]);
}

/// An instance that cannot have what it needs to start is refused with the configuration.
#[test]
fn needs_at_start() {
    let refused = |settings: &str| {
        let text = format!(
            "[plugins.greedy]\ncomponent = \"%greedy%\"\n{settings}\n[[sites]]\nplugins = [\"greedy\"]\n\
             [[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n"
        );
        tidegate(&text).var("greedy", guest("greedy")).try_start().err().expect("it is refused")
    };
    let table = refused("table = 1");
    assert!(table.contains("`table` allows 1: raise `table`") && table.contains(".toml:1:"), "{table}");
    let memory = refused("memory = \"64KiB\"");
    assert!(memory.contains("`memory` allows 65536: raise `memory`"), "{memory}");
}
