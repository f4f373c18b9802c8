#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use tidegate_plugin::testing::{Request, Response, configure, with, with_response};
use tidegate_plugin::{Decision, EditOperation, Origin, ResponseHeaders};

use super::*;
use crate::Cors;

const SOME: &str = r#"{
    "origins": ["https://app.example.com", "https://*.example.net", "~^https://pr-[0-9]+\\.example\\.org$"],
    "methods": ["GET", "PUT"], "headers": ["X-Token", "Content-Type"], "expose": ["X-Total"],
    "max_age": 600, "credentials": true
}"#;
const ALL: &str = r#"{"origins": ["*"], "methods": ["*"], "headers": ["*"], "expose": ["*"]}"#;

fn plugin(config: &str) -> Cors {
    configure(config).unwrap()
}

fn ask(config: &str, request: &Request) -> Vec<(String, String)> {
    match with(request, || plugin(config).check()) {
        Decision::Deny(reply) => {
            assert_eq!((reply.status, reply.body.len()), (204, 0));
            reply.fields.into_iter().map(|f| (f.name, String::from_utf8(f.value).unwrap())).collect()
        }
        Decision::Next => Vec::new(),
        Decision::Allow => panic!("the list of origins is not the plugin's to end"),
    }
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "DELETE")
        .header("Access-Control-Request-Headers", "x-a, x-b")
}

/// Edits as `+name: value` (append), `name: value` (set) and `-name`.
fn answer(config: &str, origin: Option<&str>, response: &Response) -> Vec<String> {
    let request = Request::get("/");
    let request = match origin {
        Some(origin) => request.header("Origin", origin),
        None => request,
    };
    let edits = with_response(&request, response, || plugin(config).on_response()).unwrap();
    let show = |edit: &Edit| {
        let value = String::from_utf8_lossy(&edit.value);
        match edit.operation {
            EditOperation::Set => format!("{}: {value}", edit.name),
            EditOperation::Append => format!("+{}: {value}", edit.name),
            EditOperation::Remove => format!("-{}", edit.name),
            EditOperation::SetDefault => panic!("upstream's own must not stand"),
        }
    };
    edits.iter().map(show).collect()
}

#[test]
fn a_preflight_of_an_allowed_origin_is_told_what_it_may() {
    let vary = ("Vary".to_owned(), VARY_PREFLIGHT.to_owned());
    for origin in ["https://app.example.com", "https://a.b.example.net", "https://pr-7.example.org"] {
        let lines = ask(SOME, &preflight(origin));
        let wanted = [
            (ALLOW_ORIGIN, origin),
            (ALLOW_CREDENTIALS, "true"),
            (ALLOW_METHODS, "GET, PUT"),
            (ALLOW_HEADERS, "X-Token, Content-Type"),
            (MAX_AGE, "600"),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((&lines[0], &lines[1..]), (&vary, &wanted[..]));
    }
    assert_eq!(ask(SOME, &preflight("https://evil.example")), [vary]);
}

#[test]
fn all_means_what_is_asked_for() {
    let lines = ask(ALL, &preflight("https://any.example"));
    let get = |wanted: &str| lines.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!(
        [get(ALLOW_ORIGIN), get(ALLOW_METHODS), get(ALLOW_HEADERS), get(ALLOW_CREDENTIALS), get(MAX_AGE)],
        [Some("*"), Some("DELETE"), Some("x-a, x-b"), None, None]
    );
}

#[test]
fn only_preflights_are_answered() {
    for request in [
        Request::new("OPTIONS", "/").header("Origin", "https://app.example.com"),
        Request::new("OPTIONS", "/").header("Access-Control-Request-Method", "GET"),
        Request::get("/").header("Origin", "https://app.example.com").header("Access-Control-Request-Method", "GET"),
    ] {
        assert!(matches!(with(&request, || plugin(SOME).check()), Decision::Next));
    }
}

#[test]
fn a_response_gets_its_headers() {
    let plain = Response::new(200);
    let allowed = "https://app.example.com";
    assert_eq!(
        answer(SOME, Some(allowed), &plain),
        [
            "+Vary: Origin".to_owned(),
            format!("{ALLOW_ORIGIN}: {allowed}"),
            format!("{ALLOW_CREDENTIALS}: true"),
            format!("{EXPOSE_HEADERS}: X-Total")
        ]
    );
    let removed = [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS].map(|name| format!("-{name}"));
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let edits = answer(SOME, origin, &plain);
        assert_eq!((edits[0].as_str(), &edits[1..]), ("+Vary: Origin", &removed[..]), "{origin:?}");
    }
    assert_eq!(answer(ALL, Some(allowed), &plain)[0], format!("{ALLOW_ORIGIN}: *"));
}

#[test]
fn vary_is_not_said_twice() {
    for line in ["Accept, origin", "*", "ORIGIN"] {
        let edits = answer(SOME, None, &Response::new(200).header("Vary", line));
        assert!(!edits.iter().any(|edit| edit.starts_with('+')), "{line}: {edits:?}");
    }
    assert_eq!(answer(SOME, None, &Response::new(200).header("Vary", "X-Origin"))[0], "+Vary: Origin");
}

#[test]
fn websockets_and_preflights_are_left_alone() {
    let handshake = Request::websocket("/").header("Origin", "https://app.example.com");
    let edits = with_response(&handshake, &Response::new(101), || plugin(SOME).on_response());
    assert!(edits.unwrap().is_empty());
    let edits =
        with_response(&preflight("https://app.example.com"), &Response::new(204), || plugin(SOME).on_response());
    assert!(edits.unwrap().is_empty());
}

#[test]
fn what_is_not_safe_is_refused() {
    for (config, wanted) in [
        (r#"{"origins": ["https://a.b", "*"], "credentials": true}"#, "/origins/1"),
        (r#"{"origins": ["null"], "credentials": true}"#, "/origins/0"),
        (r#"{"origins": ["https://a.b"], "expose": ["X-A", "*"], "credentials": true}"#, "/expose/1"),
        (r#"{"origins": ["a.b"]}"#, "/origins/0"),
        (r#"{"origins": [], "methods": ["GET, PUT"]}"#, "/methods/0"),
        (r#"{"origins": [], "headers": [""]}"#, "/headers/0"),
    ] {
        let error = configure::<Cors>(config).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}
