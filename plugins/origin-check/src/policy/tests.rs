use tidegate_plugin::{Decision, Origin, testing};

use super::*;
use crate::OriginCheck;

fn policy(allow: &[&str]) -> Policy {
    let allow = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Policy::new(&Config { allow, missing: Missing::Deny }).unwrap()
}

fn check(policy: &Policy, expected: &[(&str, bool)]) {
    for (origin, allowed) in expected {
        assert_eq!(policy.allows(Some(origin.as_bytes().to_vec())), *allowed, "{origin}");
    }
}

#[test]
fn exact_origins() {
    check(
        &policy(&["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"]),
        &[
            ("https://app.example.com", true),
            ("HTTPS://App.Example.COM", true),
            ("https://app.example.com:443", true),
            ("https://app.example.com:80", false),
            ("https://app.example.com:8443", false),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.org", false),
            ("https://xapp.example.com", false),
            ("https://example.com", false),
            ("https://app.example.com/", false),
            ("http://localhost:3000", true),
            ("http://localhost", false),
            ("https://[::1]:8443", true),
            ("null", false),
            ("*", false),
            ("", false),
        ],
    );
}

#[test]
fn default_ports_equal_none() {
    check(
        &policy(&["http://a.example:80", "https://b.example:443", "ws://c.example", "wss://d.example:443"]),
        &[
            ("http://a.example", true),
            ("http://a.example:80", true),
            ("https://b.example", true),
            ("ws://c.example:80", true),
            ("wss://d.example", true),
            ("http://b.example:443", false),
        ],
    );
}

#[test]
fn wildcards_take_whole_labels() {
    check(
        &policy(&["https://*.example.com", "http://*.dev.test:8080"]),
        &[
            ("https://a.example.com", true),
            ("https://a.b.example.com", true),
            ("https://A.EXAMPLE.com:443", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://notexample.com", false),
            ("http://a.example.com", false),
            ("https://a.example.com:444", false),
            ("https://evil.org/.example.com", false),
            ("https://evil.org:80@x.example.com", false),
            ("https://evil.org#.example.com", false),
            ("https://evil.org?.example.com", false),
            ("https://evil.org\\.example.com", false),
            ("http://x.dev.test:8080", true),
            ("http://x.dev.test", false),
        ],
    );
}

#[test]
fn patterns() {
    check(
        &policy(&[r"~^https://pr-[0-9]+\.example\.com$", r"~*^chrome-extension://abc", r"~^null$"]),
        &[
            ("https://pr-12.example.com", true),
            ("https://pr-.example.com", false),
            ("https://PR-12.example.com", false),
            ("CHROME-extension://ABC", true),
            ("null", true),
        ],
    );
    assert!(!policy(&["~x"]).allows(Some(vec![b'x', 0xff])));
}

#[test]
fn null_and_every() {
    check(&policy(&["null"]), &[("null", true), ("Null", false), ("https://null", false)]);
    check(&policy(&["*"]), &[("null", true), ("https://any.example", true), ("", true)]);
    check(&policy(&[]), &[("https://a.example", false)]);
}

#[test]
fn missing_origin() {
    let config = |missing| Config { allow: vec!["*".into()], missing };
    assert!(!Policy::new(&config(Missing::Deny)).unwrap().allows(None));
    assert!(Policy::new(&config(Missing::Allow)).unwrap().allows(None));
}

#[test]
fn wrong_entries_are_named() {
    for (entry, part) in [
        ("app.example.com", "is not an origin"),
        ("https://app.example.com/", "is not an origin"),
        ("https://a.*.com", "`*` stands for"),
        ("https://*", "`*` stands for"),
        ("https://*.", "`*` stands for"),
        ("https://*example.com", "`*` stands for"),
        ("https://user@example.com", "is not an origin"),
        ("https://", "is not an origin"),
        ("", "is not an origin"),
        ("~(", "is not a pattern"),
    ] {
        let config = Config { allow: vec!["null".into(), entry.into()], missing: Missing::Deny };
        let error = Policy::new(&config).unwrap_err();
        assert_eq!(error.pointer(), "/allow/1", "{entry}");
        assert!(error.message().contains(part), "{entry}: {error}");
    }
}

#[test]
fn as_a_plugin() {
    let mut plugin: OriginCheck = testing::configure(r#"{"allow": ["https://a.example"]}"#).unwrap();
    let good = testing::Request::websocket("/ws").header("Origin", "https://a.example");
    assert_eq!(testing::with(&good, || plugin.check()), Decision::Next);
    let bad = testing::Request::websocket("/ws").header("Origin", "https://b.example");
    let Decision::Deny(reply) = testing::with(&bad, || plugin.check()) else { panic!("allowed") };
    assert_eq!((reply.status, reply.body.as_slice()), (403, &b"origin not allowed\n"[..]));
    assert!(matches!(testing::with(&testing::Request::get("/"), || plugin.check()), Decision::Deny(_)));
}

#[test]
fn unknown_keys_and_words_are_errors() {
    let error = testing::configure::<OriginCheck>(r#"{"allow": [], "mising": "deny"}"#).unwrap_err();
    assert_eq!(error.to_string(), "/mising: unknown field `mising`, expected `allow` or `missing`");
    let error = testing::configure::<OriginCheck>(r#"{"allow": [], "missing": "no"}"#).unwrap_err();
    assert_eq!(error.to_string(), "/missing: unknown variant `no`, expected `deny` or `allow`");
}
