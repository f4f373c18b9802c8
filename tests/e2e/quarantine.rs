//! Plugins that keep failing are left alone for a while, which the operator sees, and nobody
//! else notices.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tidegate_tests::guests::guest;
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, Setup, eventually, tidegate};

pub(crate) fn page(port: &HeldPort, path: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

pub(crate) fn plugin(port: &HeldPort, name: &str) -> Value {
    serde_json::from_str::<Value>(&page(port, "/status")).unwrap()["plugins"][name].clone()
}

fn metric(port: &HeldPort, line: &str) -> String {
    let page = page(port, "/metrics");
    let found = page.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in {page}"));
    found.trim().to_owned()
}

/// A guest that traps where a request asks for it, on `/`; nothing on `/other`.
fn set_up(settings: &str, backend: &Backend, port: &HeldPort) -> Setup {
    let text = format!(
        r#"
        [admin]
        address = "%admin%"
        [plugins.trap]
        component = "%trap%"
        config = {{ always = false }}
        {settings}
        [plugins.greeter]
        component = "%greeter%"
        config = {{ greeting = "hello" }}
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["trap"]
        [[sites.routes]]
        match = "/other"
        upstream = "%backend%"
        plugins = ["greeter"]
        "#
    );
    tidegate(&text)
        .var("admin", port.address())
        .var("trap", guest("trap"))
        .var("greeter", guest("greeter"))
        .var("backend", backend.address())
}

fn status(proxy: &Proxy, path: &str, line: &str) -> u16 {
    proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{line}\r\n")).0.status()
}

const TRAP: &str = "X-Trap: 1\r\n";

#[test]
fn a_plugin_that_keeps_failing_is_left_alone() {
    for (on_failure, answer) in [("closed", 500), ("open", 200)] {
        let (backend, port) = (Backend::ws_echo(), HeldPort::new());
        let settings =
            format!("on_failure = \"{on_failure}\"\nquarantine = {{ row = 3, rest = \"10m\", longest_rest = \"1h\" }}");
        let proxy = set_up(&settings, &backend, &port).start();
        let (mut tunnel, mut other) = (proxy.open("/ws"), proxy.open("/other"));
        assert_eq!([TRAP; 2].map(|line| status(&proxy, "/", line)), [answer; 2]);
        assert_eq!(plugin(&port, "trap")["quarantine"], Value::Null, "two are borne");
        assert_eq!(status(&proxy, "/", ""), 200, "one that goes well");
        assert_eq!([TRAP; 3].map(|line| status(&proxy, "/", line)), [answer; 3]);
        let calls = |kind: &str| {
            let line = format!("tidegate_hook_failures_total{{plugin=\"trap\",hook=\"authorizer\",kind=\"{kind}\"}}");
            metric(&port, &line)
        };
        assert_eq!(calls("plugin.trap"), "5");
        // It is not asked now, whatever it would say.
        assert_eq!(["", TRAP, ""].map(|line| status(&proxy, "/", line)), [answer; 3]);
        assert_eq!((calls("plugin.trap"), calls("plugin.quarantined")), ("5".to_owned(), "3".to_owned()));
        let state = plugin(&port, "trap");
        let reason = state["quarantine"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("3 failures in a row, the last: trapped: "), "{state}");
        let next = state["quarantine"]["next_probe_seconds"].as_f64().unwrap();
        assert!(next > 500.0 && next <= 600.0, "{state}");
        assert_eq!(state["quarantines"], 1);
        assert_eq!(metric(&port, "tidegate_plugin_quarantined{plugin=\"trap\"}"), "1");
        assert_eq!(metric(&port, "tidegate_plugin_quarantines_total{plugin=\"trap\"}"), "1");
        // Nothing else stops.
        assert_eq!(plugin(&port, "greeter")["quarantine"], Value::Null);
        assert_eq!(status(&proxy, "/other", ""), 200);
        tunnel.echo(&Frame::text("still here"));
        other.echo(&Frame::text("so am I"));
    }
}

#[test]
fn a_call_that_goes_well_ends_it() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = set_up("quarantine = { row = 2, rest = \"1ms\", longest_rest = \"20ms\" }", &backend, &port).start();
    assert_eq!([TRAP; 2].map(|line| status(&proxy, "/", line)), [500; 2]);
    // Tries in vain.
    eventually("three tries", || {
        status(&proxy, "/", TRAP);
        plugin(&port, "trap")["quarantine"]["failed_probes"].as_u64().unwrap() >= 3
    });
    eventually("it is asked again", || status(&proxy, "/", "") == 200);
    let state = plugin(&port, "trap");
    assert_eq!((&state["quarantine"], &state["quarantines"]), (&Value::Null, &Value::from(1)));
    assert!((0..20).all(|_| status(&proxy, "/", "") == 200));
}

#[test]
fn it_can_be_switched_off() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = set_up("quarantine = false", &backend, &port).start();
    assert!((0..30).all(|_| status(&proxy, "/", TRAP) == 500));
    assert_eq!(status(&proxy, "/", ""), 200);
    assert_eq!(plugin(&port, "trap")["quarantines"], 0);
}

/// What plugins use is shown too.
#[test]
fn time_and_memory_are_shown() {
    let (backend, port) = (Backend::ws_echo(), HeldPort::new());
    let proxy = set_up("", &backend, &port).start();
    assert!((0..10).all(|_| status(&proxy, "/", "") == 200));
    let state = plugin(&port, "trap");
    assert!(state["cpu_seconds"].as_f64().unwrap() > 0.0, "{state}");
    let (memory, peak) = (state["memory_bytes"].as_u64().unwrap(), state["memory_peak_bytes"].as_u64().unwrap());
    assert!(memory >= 65_536 && peak >= memory, "{state}");
    assert_eq!(metric(&port, "tidegate_plugin_memory_bytes{plugin=\"trap\"}"), memory.to_string());
    assert!(metric(&port, "tidegate_plugin_cpu_seconds_total{plugin=\"trap\"}").parse::<f64>().unwrap() > 0.0);
}
