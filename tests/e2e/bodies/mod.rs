//! Hooks `request-body` and `response-body`: what plugins do with bodies, byte for byte at both
//! ends. The guest is the frozen `reviser`, which does what bodies say.

mod hostile;
mod pieces;
mod versions;
mod whole;

use std::net::SocketAddr;

use tidegate_tests::guests::guest;
use tidegate_tests::http::Body;
use tidegate_tests::{Backend, Head, Proxy, Setup, tidegate};

/// One for each lane: above 20 ms a plugin runs on a fiber.
const LANES: [&str; 2] = ["", "deadline = \"100ms\""];

/// What is before an upstream: revisers of a hook, in order, each with its configuration; more
/// lines for all of them, and for the route.
fn set_up(hook: &str, revisers: &[&str], lines: &str, route: &str) -> Setup {
    with("", hook, revisers, lines, route)
}

/// The same, with more tables.
fn with(tables: &str, hook: &str, revisers: &[&str], lines: &str, route: &str) -> Setup {
    let more = tables;
    let table = |(n, config): (usize, &&str)| {
        format!("[plugins.r{n}]\ncomponent = \"%reviser%\"\nhooks = [\"{hook}\"]\n{lines}\nconfig = {{ {config} }}\n")
    };
    let tables: String = revisers.iter().enumerate().map(table).collect();
    let names: Vec<_> = (0..revisers.len()).map(|n| format!("\"r{n}\"")).collect();
    let names = names.join(", ");
    let text = format!(
        "[server]\nworkers = 1\n{more}{tables}[[sites]]\nlimits = {{ max_body = 0 }}\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"%backend%\"\nplugins = [{names}]\n{route}\n"
    );
    tidegate(&text).var("reviser", guest("reviser"))
}

fn before(backend: SocketAddr, setup: Setup) -> Proxy {
    setup.var("backend", backend).start()
}

/// A POST with this body, and more header lines.
fn post(body: &str, lines: &str) -> String {
    format!("POST /form HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A POST of these chunks, and trailer lines.
fn chunked(chunks: &[&str], trailers: &str) -> String {
    let body: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n{trailers}\r\n")
}

/// A backend that says what it was sent: `LENGTH|BODY|TRAILERS`, with what the plugin set.
fn telling() -> Backend {
    Backend::http(|request| {
        let (head, body) = (&request.head, &request.body);
        let length = head.get("content-length").unwrap_or(if body.chunked { "chunked" } else { "none" });
        let trailers: Vec<_> = body.trailers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let seen = head.get("x-seen").unwrap_or_default();
        tidegate_tests::Response::text(format!("{length}|{}|{}|{seen}", body.text(), trailers.join(",")))
    })
}

/// A backend for requests that may break off: what comes whole is answered with `ok`.
fn patient() -> Backend {
    Backend::script(|mut wire, _| {
        while let Some(head) = wire.try_read_head() {
            let length: Option<usize> = head.get("content-length").map(|length| length.parse().unwrap());
            let mut body = Vec::new();
            let is_whole = |body: &[u8]| match length {
                Some(length) => body.len() == length,
                None => body.ends_with(b"0\r\n\r\n"),
            };
            while !is_whole(&body) {
                match wire.try_read() {
                    Ok(bytes) if !bytes.is_empty() => body.extend_from_slice(&bytes),
                    _ => return,
                }
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn status_and_text((head, body): &(Head, Body)) -> (u16, String) {
    (head.status(), body.text())
}
