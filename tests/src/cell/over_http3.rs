//! Requests and answers as whole messages, over HTTP/3.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::http3::frame;

use super::message::{Answer, Ask, map};
use super::{Cut, Lane};
use crate::http3;
use crate::tls_client::TlsClient;

/// Ask, and take the whole answer.
pub(super) async fn ask(client: &http3::Client, ask: &Ask) -> Answer {
    let length = ask.body.len().to_string();
    let mut lines = http3::request(ask.verb(), &ask.path).to_vec();
    lines.extend(ask.lines.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut bytes = Vec::new();
    if !ask.body.is_empty() {
        bytes = http3::framed(frame::DATA, &ask.body);
    }
    if ask.trailers.is_empty() {
        lines.extend((!ask.body.is_empty()).then_some(("content-length", length.as_str())));
    } else {
        bytes.extend(http3::framed(frame::HEADERS, &http3::section(&ask.trailers)));
    }
    let stream = client.begin(&lines).await;
    let mut answer = Answer::default();
    for (kind, content) in stream.exchange(&bytes).await.expect("a whole answer") {
        if kind == frame::DATA {
            answer.body.extend_from_slice(&content);
            continue;
        }
        assert_eq!(kind, frame::HEADERS);
        let lines = http3::lines(&content);
        let Some(status) = http3::get(&lines, ":status") else {
            answer.trailers = map(&lines);
            continue;
        };
        match status.parse().expect("a status") {
            interim @ 100..=199 => answer.interim.push(interim),
            status => answer.status = status,
        }
        let lines: Vec<_> = lines.iter().filter(|(name, _)| name != ":status").cloned().collect();
        answer.lines = map(&lines);
    }
    answer
}

/// GET a path whose answer begins like this and then is reset.
pub(super) async fn get_broken(
    tls: &TlsClient,
    address: SocketAddr,
    path: &str,
    begins: &[u8],
    arrived: impl FnOnce(),
) -> Vec<u8> {
    let client = Arc::new(http3::Client::connect(address, tls).await);
    let mut stream = client.begin(&http3::request("GET", path)).await;
    stream.end();
    stream.head().await;
    let mut lane = Lane::of_http3(stream, client);
    let body = lane.receiver.read_exact(begins.len()).await;
    arrived();
    let end = lane.receiver.read().await;
    assert!(matches!(end, Err(Cut::Http3(_))), "{end:?}");
    body
}
