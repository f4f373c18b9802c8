use tidegate_plugin::{Authorizer, Field, Reply, Verdict, testing};

use super::*;
use crate::AuthRequest;

fn plugin(more: &str) -> AuthRequest {
    let document = format!(r#"{{"destination": "upstream:auth", "path": "/verify?x=1", "timeout_ms": 1500{more}}}"#);
    testing::configure(&document).unwrap()
}

/// Ask about a request, with this answer.
fn ask(plugin: &mut AuthRequest, request: &testing::Request, answer: Result<Response, FetchError>) -> Verdict {
    testing::answer_fetches(move |_| answer.clone());
    testing::with(request, || plugin.authorize())
}

fn denied(verdict: Verdict) -> Reply {
    match verdict {
        Verdict::Deny(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a str> {
    let same = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    same.map(|field| std::str::from_utf8(&field.value).unwrap()).collect()
}

#[test]
fn the_question_is_a_get_with_the_requests_headers() {
    let request = testing::Request::new("POST", "/a%20b?c=d")
        .header("Host", "ws.example.com:8080")
        .header("Content-Length", "7")
        .header("Transfer-Encoding", "chunked")
        .header("Expect", "100-continue")
        .header("Connection", "close")
        .header("Cookie", "a=1")
        .header("X-Original-URI", "/forged")
        .header("X-Two", "1")
        .header("X-Two", "2");
    ask(&mut plugin(""), &request, Ok(Response::new(200)));
    let question = testing::take_fetches().pop().unwrap();
    assert_eq!((question.method.as_str(), question.url.as_str()), ("GET", "upstream:auth/verify?x=1"));
    assert_eq!((question.timeout_ms, question.max_body, question.body.len()), (1500, 0, 0));
    for (name, wanted) in [
        ("host", vec!["ws.example.com"]),
        ("cookie", vec!["a=1"]),
        ("x-two", vec!["1", "2"]),
        ("x-original-uri", vec!["/a%20b?c=d"]),
        ("x-original-method", vec!["POST"]),
        ("x-real-ip", vec!["127.0.0.1"]),
        ("x-forwarded-for", vec!["127.0.0.1"]),
        ("x-forwarded-proto", vec!["http"]),
        ("content-length", vec![]),
        ("transfer-encoding", vec![]),
        ("expect", vec![]),
        ("connection", vec![]),
    ] {
        assert_eq!(values(&question.fields, name), wanted, "{name}");
    }
}

#[test]
fn a_handshake_is_asked_about_without_its_upgrade() {
    ask(&mut plugin(""), &testing::Request::websocket("/ws"), Ok(Response::new(204)));
    let question = testing::take_fetches().pop().unwrap();
    assert_eq!(values(&question.fields, "upgrade"), [""; 0]);
    assert_eq!(values(&question.fields, "connection"), [""; 0]);
    assert_eq!(values(&question.fields, "sec-websocket-version"), ["13"]);
}

#[test]
fn rules_change_the_question() {
    let rules = r#", "set": [["X-Original-URI", "$scheme://$host$request_uri"], ["cookie", ""], ["X-Path", "$uri"]]"#;
    let request = testing::Request::get("/a%0Ab").header("Host", "a.test").header("Cookie", "secret=1");
    ask(&mut plugin(rules), &request, Ok(Response::new(200)));
    let question = testing::take_fetches().pop().unwrap();
    assert_eq!(values(&question.fields, "x-original-uri"), ["http://a.test/a%0Ab"]);
    assert_eq!(values(&question.fields, "cookie"), [""; 0]);
    assert_eq!(values(&question.fields, "x-path"), ["/a b"]);
}

#[test]
fn success_lets_it_pass_with_what_the_answer_says() {
    let rules = r#", "variables": [["user", "X-User"], ["none", "X-None"]], "copy": ["X-User", "X-None"]"#;
    for status in [200, 201, 204, 299] {
        let answer = Response::new(status).with_header("X-User", "ann").with_header("X-User", "bob");
        let Verdict::Grant(grant) = ask(&mut plugin(rules), &testing::Request::get("/"), Ok(answer)) else {
            panic!("{status}")
        };
        let said: Vec<_> = grant.variables.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(said, [("user", "ann, bob"), ("none", "")]);
        let edits = [
            Edit::remove("X-User"),
            Edit::append("X-User", "ann"),
            Edit::append("X-User", "bob"),
            Edit::remove("X-None"),
        ];
        assert_eq!(grant.edits, edits);
    }
}

#[test]
fn refusals_are_passed_on_with_what_the_client_may_see() {
    let rules = r#", "deny": ["Set-Cookie", "www-authenticate"]"#;
    for status in [401, 403] {
        let answer = Response::new(status)
            .with_header("WWW-Authenticate", "Bearer")
            .with_header("WWW-Authenticate", "Basic realm=x")
            .with_header("Set-Cookie", "a=1")
            .with_header("X-Secret", "1");
        let reply = denied(ask(&mut plugin(rules), &testing::Request::get("/"), Ok(answer)));
        assert_eq!(reply.status, status);
        let challenge = if status == 401 { vec!["Bearer", "Basic realm=x"] } else { vec![] };
        assert_eq!(values(&reply.fields, "www-authenticate"), challenge);
        assert_eq!(values(&reply.fields, "set-cookie"), ["a=1"]);
        assert_eq!(values(&reply.fields, "x-secret"), [""; 0]);
    }
    assert_eq!(testing::take_log(), []);
}

#[test]
fn anything_else_is_an_error_and_logged() {
    for status in [300, 302, 304, 400, 402, 404, 407, 500, 503] {
        let answer = Response::new(status).with_header("Location", "/login");
        let reply = denied(ask(&mut plugin(""), &testing::Request::get("/"), Ok(answer)));
        assert_eq!((reply.status, values(&reply.fields, "location").len()), (500, 0), "{status}");
        let (_, line) = testing::take_log().pop().unwrap();
        assert_eq!(line, format!("auth request unexpected status: {status}"));
    }
    for (error, wanted) in [
        (FetchError::Timeout, "auth request failed: no answer in time"),
        (FetchError::Denied("no grant".into()), "auth request failed: denied: no grant"),
        (FetchError::Connect("refused".into()), "auth request failed: no connection: refused"),
    ] {
        assert_eq!(denied(ask(&mut plugin(""), &testing::Request::get("/"), Err(error))).status, 500);
        assert_eq!(testing::take_log().pop().unwrap().1, wanted);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |more: &str| {
        let document = format!(r#"{{"destination": "upstream:auth", "timeout_ms": 1, {more}}}"#);
        testing::configure::<AuthRequest>(&document).unwrap_err().to_string()
    };
    assert_eq!(wrong(r#""path": "verify""#), "/path: `verify` does not begin with `/`");
    assert!(wrong(r#""path": "/", "set": [["a", "$"]]"#).starts_with("/set/0: "));
}
