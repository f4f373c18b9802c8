#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_plugin::messages::{Subscription, Verdict, Way};
use tidegate_plugin::testing::{self, Request, Tunnel};

use super::*;
use crate::MessageGuard;

fn policy(checks: Value) -> Policy {
    Policy::new("/to_upstream", serde_json::from_value(checks).unwrap()).unwrap()
}

#[track_caller]
fn refused(checks: Value, pointer: &str) {
    let error = Policy::new("/to_upstream", serde_json::from_value(checks).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with(pointer), "{error}");
}

fn judge(policy: &Policy, text: bool, data: &[u8]) -> Option<(Check, Answer)> {
    let arrived = Arrived { text, length: u64::try_from(data.len()).ok(), data };
    policy.judge(None, &arrived, || Duration::ZERO)
}

fn close(check: Check, code: u16) -> Option<(Check, Answer)> {
    let Action::Close { reason, .. } = check.usual() else { return None };
    Some((check, Answer::Close { code, reason }))
}

#[test]
fn kinds_and_sizes() {
    let policy = policy(json!({"kinds": ["text"], "max_size": 3}));
    assert_eq!(judge(&policy, true, b"abc"), None);
    assert_eq!(judge(&policy, false, b"abc"), close(Check::Kind, 1003));
    assert_eq!(judge(&policy, true, b"abcd"), close(Check::Size, 1009));
    // A message of which more is to come than was asked for.
    assert_eq!(policy.first(), Some(7));
    let part = Arrived { text: true, length: None, data: b"abcd" };
    assert_eq!(policy.judge(None, &part, || Duration::ZERO), close(Check::Size, 1009));
}

#[test]
fn only_what_is_looked_into_is_asked_for() {
    let first = |checks| policy(checks).first();
    assert_eq!(first(json!({"kinds": ["binary"]})), Some(0));
    assert_eq!(first(json!({"rate": {"messages": 1}})), Some(0));
    assert_eq!(first(json!({"rate": {"bytes": 1}})), None);
    assert_eq!(first(json!({"max_size": 10, "json": true})), None);
    assert_eq!(first(json!({"deny": ["x"]})), None);
}

#[test]
fn messages_in_a_second() {
    let policy = policy(json!({"rate": {"messages": 2, "burst": 3}, "actions": {"rate": "drop"}}));
    let mut state = policy.opened();
    let mut at = |ms| {
        let arrived = Arrived { text: true, length: Some(1), data: b"x" };
        policy.judge(Some(&mut state), &arrived, || Duration::from_millis(ms)).is_none()
    };
    assert_eq!([at(1000), at(1000), at(1000), at(1000)], [true, true, true, false]);
    assert_eq!([at(1499), at(1500), at(1500)], [false, true, false]);
    // A long rest is worth no more than the burst, and a clock that stands costs nothing.
    assert_eq!([at(99_000), at(99_000), at(99_000), at(99_000)], [true, true, true, false]);
}

#[test]
fn bytes_in_a_second() {
    let policy = policy(json!({"rate": {"bytes": 100, "burst_bytes": 50}}));
    let mut state = policy.opened();
    let mut at = |ms, size| {
        let data = vec![b'x'; size];
        let arrived = Arrived { text: false, length: Some(size as u64), data: &data };
        policy.judge(Some(&mut state), &arrived, || Duration::from_millis(ms)).is_none()
    };
    // One that is larger than the bucket passes, and is paid for afterwards.
    assert_eq!([at(0, 150), at(999, 1), at(1010, 1)], [true, false, true]);
}

#[test]
fn json_and_schemas() {
    let any = policy(json!({"json": true}));
    assert_eq!(judge(&any, true, b" {\"a\": [1, null]} "), None);
    for bad in ["{\"a\":}", "", "1 2", "{'a': 1}", "nul"] {
        assert_eq!(judge(&any, true, bad.as_bytes()), close(Check::Json, 1007), "{bad}");
    }
    assert_eq!(judge(&any, false, b"\"\xff\""), close(Check::Json, 1007), "binary is no way around it");
    let nested = "[".repeat(100_000);
    assert_eq!(judge(&any, true, nested.as_bytes()), close(Check::Json, 1007), "too deep");

    let schema = policy(json!({"schema": {"type": "object", "required": ["op"]}, "actions": {"schema": "drop"}}));
    assert_eq!(judge(&schema, true, b"{\"op\": 1}"), None);
    assert_eq!(judge(&schema, true, b"{}"), Some((Check::Schema, Answer::Drop)));
    assert_eq!(judge(&schema, true, b"{"), close(Check::Json, 1007));
}

#[test]
fn patterns() {
    let cards = r"\b\d{4}(?:[ -]?\d{4}){3}\b";
    let closes = policy(json!({"deny": [cards, "(?i)secret"]}));
    assert_eq!(judge(&closes, true, b"1234 is no card"), None);
    assert_eq!(judge(&closes, true, b"my card 1234 5678-9012 3456!"), close(Check::Deny, 1008));
    assert_eq!(judge(&closes, false, b"\xff SECRET \xff"), close(Check::Deny, 1008), "binary is no way around it");

    let masks = policy(json!({"deny": [cards, "(?i)secret"], "actions": {"deny": {"mask": "$0*"}}}));
    let masked = Some((Check::Deny, Answer::Replace("a $0* and a $0*".into())));
    assert_eq!(judge(&masks, true, b"a Secret and a 1234567890123456"), masked);
    assert_eq!(judge(&masks, false, b"\xff secret"), Some((Check::Deny, Answer::Drop)), "what is no text");

    let replaces = policy(json!({"deny": ["x"], "actions": {"deny": {"replace": "gone"}}}));
    assert_eq!(judge(&replaces, true, b"x"), Some((Check::Deny, Answer::Replace("gone".into()))));
}

#[test]
fn checks_are_made_in_order() {
    let all = policy(json!({"kinds": ["text"], "max_size": 5, "json": true, "deny": ["1"],
        "actions": {"kind": {"close": {"code": 4000}}}}));
    let check = |text, data| judge(&all, text, data).map(|(check, _)| check);
    assert_eq!(check(false, b"123456"), Some(Check::Kind));
    assert_eq!(check(true, b"123456"), Some(Check::Size));
    assert_eq!(check(true, b"1 2"), Some(Check::Json));
    assert_eq!(check(true, b"1"), Some(Check::Deny));
    assert_eq!(check(true, b"2"), None);
    let own = Answer::Close { code: 4000, reason: String::new() };
    assert_eq!(judge(&all, false, b""), Some((Check::Kind, own)));
}

#[test]
fn what_cannot_be_is_refused() {
    refused(json!({}), "/to_upstream: it checks nothing");
    refused(json!({"kinds": []}), "/to_upstream/kinds");
    refused(json!({"rate": {"burst": 3}}), "/to_upstream/rate/burst");
    refused(json!({"rate": {"messages": 0}}), "/to_upstream/rate/messages");
    refused(json!({"rate": {"messages": 1, "burst": 0.5}}), "/to_upstream/rate/burst");
    refused(json!({"rate": {"bytes": -1}}), "/to_upstream/rate/b");
    refused(json!({"rate": {"burst_bytes": 1}}), "/to_upstream/rate/burst_bytes");
    refused(json!({"deny": ["a", "("]}), "/to_upstream/deny/1");
    refused(json!({"schema": {"minimun": 1}}), "/to_upstream/schema/minimun");
    refused(json!({"json": true, "actions": {"size": "drop"}}), "/to_upstream/actions/size");
    refused(json!({"json": true, "actions": {"json": {"mask": "*"}}}), "/to_upstream/actions/json/mask");
    for code in [999, 1004, 1006, 1015, 2000, 5000] {
        let actions = json!({"json": {"close": {"code": code}}});
        refused(json!({"json": true, "actions": actions}), "/to_upstream/actions/json/close/code");
    }
    let long = json!({"json": {"close": {"code": 1008, "reason": "x".repeat(124)}}});
    refused(json!({"json": true, "actions": long}), "/to_upstream/actions/json/close/reason");
}

/// The plugin as the host calls it.
#[test]
fn tunnels_are_counted_apart() {
    let config = json!({
        "to_upstream": {"rate": {"messages": 1}, "max_size": 100, "actions": {"rate": "drop"}},
        "to_client": {"kinds": ["text"], "actions": {"kind": "drop"}},
    });
    let mut guard: MessageGuard = testing::configure(&config.to_string()).unwrap();
    testing::set_clock(Duration::from_secs(1), Duration::ZERO);
    let request = Request::get("/");
    let mut first = Tunnel::numbered(&mut guard, &request, 1).unwrap();
    assert_eq!(first.subscription(), Subscription::all().first(104));
    assert_eq!(first.client_says("a"), Verdict::Pass);
    assert_eq!(first.client_says("b"), Verdict::Drop);
    assert_eq!(first.upstream_says("c"), Verdict::Pass, "the other way has no rate");
    assert_eq!(first.message(Way::ToClient, false, b"d"), Verdict::Drop);
    drop(first);
    let mut second = Tunnel::numbered(&mut guard, &request, 2).unwrap();
    assert_eq!(second.client_says("a"), Verdict::Pass, "another tunnel has its own");
    drop(second);
    assert_eq!(guard.tunnels.len(), 0, "what is known of them ends with them");
    let count = |check| testing::metric("refused_messages_total", &[("direction", "in"), ("check", check)]);
    assert_eq!((count("rate"), count("size")), (Some(1.0), Some(0.0)));
}
