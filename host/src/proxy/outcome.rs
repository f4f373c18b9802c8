//! Variables that come with the answer or the end, or change with time; and where they are
//! noted while an exchange goes on.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;

use super::exchange::Exchange;
use super::forward::Answer;
use super::respond;
use super::variables::{put, show};
use crate::error::{Error, Side};
use crate::hook::{Outcome, Try};

/// Note what forwarding has led to: the peer's answer, or its failure.
pub(super) fn answered(exchange: &mut Exchange, answer: &Result<Answer, Error>) {
    match answer {
        Ok(answer) => {
            let Some(record) = &mut exchange.record else { return };
            let (peer, status) = (record.upstream.as_deref().unwrap_or_default(), answer.head().status.as_u16());
            tracing::debug!(peer, status, "the peer answered");
            record.answered(answer.head().status.as_u16());
            if let Some(log) = &mut record.log {
                log.upstream_headers(&answer.head().fields);
            }
        }
        Err(error) => failed(exchange, error),
    }
}

/// Note that a peer failed, where it was the peer.
pub(super) fn failed(exchange: &mut Exchange, error: &Error) {
    if let (Side::Upstream, Some(record)) = (error.kind.side(), &mut exchange.record) {
        record.failed(respond::status_of(error.kind).as_u16());
    }
}

/// Note that a peer's answer was passed over for that of another; `failure` is whether that
/// counts as one of the peer.
pub(super) fn passed_over(exchange: &mut Exchange, answer: &Answer, failure: bool) {
    if let Some(record) = &mut exchange.record {
        record.passed_over(answer.head().status.as_u16(), failure);
    }
}

/// Let the hooks of the answer see what is known by now.
pub(super) fn lend(exchange: &mut Exchange, status: StatusCode) {
    let Some(record) = &mut exchange.record else { return };
    let (started, tries) = (record.started(), std::mem::take(&mut record.tries));
    let outcome = Outcome { started: Some(started), status: status.as_u16(), tries, ..Outcome::default() };
    exchange.view_mut().outcome = outcome;
}

/// The record goes on with what was lent.
pub(super) fn take_back(exchange: &mut Exchange) {
    let tries = std::mem::take(&mut exchange.view_mut().outcome.tries);
    if let Some(record) = &mut exchange.record {
        record.tries = tries;
    }
}

/// Write the value of a variable that an outcome knows; false where there is none, or not
/// yet.
pub(super) fn resolve(outcome: &Outcome, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "status" => show(out, format_args!("{:03}", outcome.status)),
        "body_bytes_sent" => show(out, outcome.bytes_out),
        "bytes_sent" => show(out, outcome.head_out + outcome.bytes_out),
        "bytes_received" => show(out, outcome.bytes_in),
        "request_time" => seconds(out, duration(outcome)),
        "request_completion" => put(out, if outcome.cause == "done" { "OK" } else { "" }),
        "cause" => return known(outcome.cause, out),
        "closed_by" => return known(closed_by(outcome.cause), out),
        "tunnel" => put(out, if outcome.tunnel.is_some() { "true" } else { "false" }),
        "tunnel_event" => return known(outcome.tunnel.map_or("", crate::hook::Moment::name), out),
        "tunnel_messages_in" => return number(outcome.messages.map(|messages| messages.up), out),
        "tunnel_messages_out" => return number(outcome.messages.map(|messages| messages.down), out),
        "tunnel_close_code" => return number(outcome.close_code, out),
        "time_iso8601" => with_times(|times| put(out, &times.iso8601)),
        "time_local" => with_times(|times| put(out, &times.local)),
        "msec" => {
            let now = chrono::Utc::now();
            show(out, format_args!("{}.{:03}", now.timestamp(), now.timestamp_subsec_millis()));
        }
        _ => return name.strip_prefix("upstream_").is_some_and(|name| upstream(&outcome.tries, name, out)),
    }
    true
}

/// One value for each peer that was asked, as nginx writes them: `a, b`; `-` where there is
/// none for that one.
fn upstream(tries: &[Try], name: &str, out: &mut Vec<u8>) -> bool {
    let one: fn(&Try, &mut Vec<u8>) = match name {
        "addr" => |one, out| put(out, &one.peer),
        "status" => |one, out| if one.status == 0 { put(out, "-") } else { show(out, one.status) },
        "connect_time" => |one, out| time(one.connect, out),
        "header_time" => |one, out| time(one.header, out),
        "response_time" => |one, out| time(one.response, out),
        _ => return false,
    };
    for (number, each) in tries.iter().enumerate() {
        if number > 0 {
            put(out, ", ");
        }
        one(each, out);
    }
    !tries.is_empty()
}

fn time(time: Option<Duration>, out: &mut Vec<u8>) {
    match time {
        Some(time) => seconds(out, time),
        None => put(out, "-"),
    }
}

/// nginx: seconds with milliseconds.
fn seconds(out: &mut Vec<u8>, time: Duration) {
    show(out, format_args!("{}.{:03}", time.as_secs(), time.subsec_millis()));
}

fn duration(outcome: &Outcome) -> Duration {
    outcome.duration.or_else(|| Some(outcome.started?.elapsed())).unwrap_or_default()
}

fn number(value: Option<impl std::fmt::Display>, out: &mut Vec<u8>) -> bool {
    value.map(|value| show(out, value)).is_some()
}

fn known(value: &str, out: &mut Vec<u8>) -> bool {
    put(out, value);
    !value.is_empty()
}

/// Which side ended the exchange: `client`, `upstream` or `proxy`; empty where none did
/// before its time.
fn closed_by(cause: &str) -> &'static str {
    match cause {
        "tunnel.client_closed" | "tunnel.client_reset" | "downstream.gone" => "client",
        "tunnel.upstream_closed" | "tunnel.upstream_reset" | "upstream.closed" => "upstream",
        "" | "done" => "",
        _ => "proxy",
    }
}

/// The times of a second, as text.
struct Times {
    second: u64,
    local: String,
    iso8601: String,
}

/// The times now, written anew once a second.
fn with_times(read: impl FnOnce(&Times)) {
    thread_local! {
        static TIMES: RefCell<Times> = const { RefCell::new(Times { second: 0, local: String::new(), iso8601: String::new() }) };
    }
    TIMES.with_borrow_mut(|times| {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        if times.second != second {
            times.second = second;
            let now = chrono::Local::now();
            times.local = now.format("%d/%b/%Y:%H:%M:%S %z").to_string();
            times.iso8601 = now.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
        }
        read(times);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::Moment;

    fn value(outcome: &Outcome, name: &str) -> Option<String> {
        let mut out = Vec::new();
        resolve(outcome, name, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn before_anything_has_happened() {
        let outcome = Outcome::default();
        for (name, expected) in [
            ("status", Some("000")),
            ("body_bytes_sent", Some("0")),
            ("request_time", Some("0.000")),
            ("upstream_addr", None),
            ("upstream_status", None),
            ("upstream_response_time", None),
            ("cause", None),
            ("tunnel", Some("false")),
            ("tunnel_event", None),
            ("tunnel_messages_in", None),
            ("tunnel_close_code", None),
            ("nonsense", None),
            ("upstream_nonsense", None),
        ] {
            assert_eq!(value(&outcome, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn each_peer_that_was_asked_has_a_value() {
        let mut first = Try::new("10.0.0.1:80".into());
        (first.status, first.response) = (502, Some(Duration::from_millis(3)));
        let mut second = Try::new("10.0.0.2:80".into());
        (second.status, second.connect) = (200, Some(Duration::from_micros(1900)));
        (second.header, second.response) = (Some(Duration::from_millis(20)), Some(Duration::from_millis(61_004)));
        let outcome = Outcome {
            status: 101,
            tries: vec![first, second],
            cause: "tunnel.upstream_closed",
            tunnel: Some(Moment::End),
            duration: Some(Duration::from_millis(61_005)),
            bytes_in: 5,
            bytes_out: 7,
            head_out: 100,
            messages: Some(crate::hook::Counts { up: 3, down: 4 }),
            close_code: Some(1001),
            ..Outcome::default()
        };
        for (name, expected) in [
            ("status", "101"),
            ("upstream_addr", "10.0.0.1:80, 10.0.0.2:80"),
            ("upstream_status", "502, 200"),
            ("upstream_connect_time", "-, 0.001"),
            ("upstream_header_time", "-, 0.020"),
            ("upstream_response_time", "0.003, 61.004"),
            ("request_time", "61.005"),
            ("bytes_sent", "107"),
            ("body_bytes_sent", "7"),
            ("bytes_received", "5"),
            ("closed_by", "upstream"),
            ("tunnel_event", "end"),
            ("tunnel", "true"),
            ("tunnel_messages_in", "3"),
            ("tunnel_messages_out", "4"),
            ("tunnel_close_code", "1001"),
        ] {
            assert_eq!(value(&outcome, name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn who_closed() {
        for (cause, by) in
            [("tunnel.idle", "proxy"), ("tunnel.drain", "proxy"), ("downstream.gone", "client"), ("done", "")]
        {
            assert_eq!(closed_by(cause), by);
        }
    }
}
