//! Plugins that do what they must not: the exchange fails, or goes on without them, and nothing else
//! notices. And clients that leave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Backend, Response, eventually};

use super::{LANES, before, chunked, patient, post, set_up, status_and_text, telling, with};

/// Everything that fails a call about a whole body.
const WHOLE: [&str; 5] = ["!trap", "!spin", "!hog", "!huge 1048577", "!abort with a header that is the host's"];
/// Everything that fails a call about a piece.
const CHUNKS: [&str; 4] = ["!trap", "!spin", "!hog", "!huge 2000000"];

#[test]
fn a_failure_fails_its_request() {
    let backend = patient();
    for (wish, commands) in [("whole", &WHOLE[..]), ("chunks", &CHUNKS[..])] {
        for lane in ["deadline = \"10ms\"", "deadline = \"30ms\""] {
            let config = format!("wish = \"{wish}\"");
            let proxy = before(backend.address(), set_up("request-body", &[&config], lane, ""));
            for command in commands {
                assert_eq!(proxy.ask(post(command, "")).0.status(), 500, "{wish} {command}");
                // It is not worn out: another is served.
                assert_eq!(proxy.ask(post("hello", "")).0.status(), 200, "after {wish} {command}");
            }
        }
    }
}

#[test]
fn a_failure_lets_the_rest_pass_where_it_may() {
    let backend = telling();
    for (wish, commands) in [("whole", &WHOLE[..]), ("chunks", &CHUNKS[..])] {
        let config = format!("wish = \"{wish}\"");
        let lines = "deadline = \"10ms\"\non_failure = \"open\"";
        let proxy = before(backend.address(), set_up("request-body", &[&config], lines, ""));
        for command in commands {
            let (status, text) = status_and_text(&proxy.ask(chunked(&[command, "more"], "")));
            // In pieces the first is seen alone, and the rest is not.
            let seen_together = wish == "whole" && !matches!(*command, "!trap" | "!spin" | "!hog");
            let told = text.split('|').nth(1).unwrap();
            if !seen_together {
                let wanted =
                    if wish == "whole" { format!("{command}more").to_uppercase() } else { format!("{command}more") };
                assert_eq!((status, told), (200, wanted.as_str()), "{wish} {command}");
            }
            let told = status_and_text(&proxy.ask(post(command, "")));
            assert_eq!((told.0, told.1.split('|').nth(1)), (200, Some(*command)), "{wish} {command}");
        }
    }
}

#[test]
fn a_failure_fails_its_answer() {
    let backend = Backend::http(|request| Response::text(request.head.target().trim_start_matches('/')));
    for command in ["!trap", "!spin", "!hog"] {
        let whole = set_up("response-body", &["wish = \"whole\""], "deadline = \"10ms\"", "");
        assert_eq!(before(backend.address(), whole).get(&format!("/{command}")).0.status(), 500, "{command}");
        let chunks = set_up("response-body", &["wish = \"chunks\""], "deadline = \"10ms\"", "");
        let proxy = before(backend.address(), chunks);
        let mut client = proxy.connect();
        client.send(format!("GET /{command} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.read_head().status(), 200);
        assert_eq!(client.read_until_close(), b"", "{command}: no end that could be taken for one");
    }
}

/// An instance that only grows is replaced before it fails a request.
#[test]
fn an_instance_that_grows() {
    let backend = telling();
    let proxy = before(backend.address(), set_up("request-body", &["wish = \"chunks\""], "memory = \"8MiB\"", ""));
    for n in 0..40 {
        assert_eq!(proxy.ask(post("!keep", "")).0.status(), 200, "{n}");
    }
}

/// How many bodies plugins were told the end of.
fn closed(admin: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let value = |line: &str| line.strip_prefix("tidegate_plugin_bodies_closed_total{plugin=\"r0\"} ")?.parse().ok();
    answer.lines().find_map(value).unwrap_or(0)
}

/// Whoever leaves in the middle of a body leaves nothing behind, on either side.
#[test]
fn every_body_that_was_opened_is_closed() {
    let silent = Backend::silent();
    for lane in LANES {
        for (round, hook) in ["request-body", "response-body"].into_iter().enumerate() {
            // A port of its own: the listener of the round before may still be there.
            let admin = HeldPort::new();
            let table = format!("[admin]\naddress = \"{}\"\n", admin.address());
            let cut = Backend::script(|mut wire, _| {
                if wire.try_read_head().is_some() {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                }
            });
            let setup = with(&table, hook, &["wish = \"chunks\", quiet = true"], lane, "");
            let backend = if round == 0 { silent.address() } else { cut.address() };
            let proxy = before(backend, setup);
            for n in 1..=3 {
                let mut client = proxy.connect();
                if hook == "request-body" {
                    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
                    client.reset();
                } else {
                    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                    assert_eq!(client.read_head().status(), 200);
                    assert_eq!(client.read_until_close(), b"4\r\nhalf\r\n");
                }
                eventually("the plugin to be told", || closed(admin.address()) == n);
            }
        }
    }
}
