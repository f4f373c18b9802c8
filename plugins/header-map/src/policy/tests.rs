use std::cell::Cell;

use tidegate_plugin::{RequestHeaders as _, ResponseHeaders as _, testing};

use super::*;
use crate::HeaderMap;

fn policy(config: serde_json::Value) -> Policy {
    Policy::new(&serde_json::from_value(config).unwrap()).unwrap()
}

fn refused(config: serde_json::Value) -> String {
    Policy::new(&serde_json::from_value(config).unwrap()).unwrap_err().to_string()
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "host" => "example.com",
        "remote_addr" => "192.0.2.1",
        "proxy_add_x_forwarded_for" => "203.0.113.9, 192.0.2.1",
        "scheme" => "https",
        "uri" => "/a\r\nX-Evil: 1",
        "empty" => "",
        "http_upgrade" => "WebSocket",
        "http_user_agent" => "Firefox/99 beta",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The value that a template has, by way of an appended header.
fn value(template: &str) -> String {
    let config = serde_json::json!({"request": {"set": [["x", template]]}});
    let edits = policy(config).request_edits(variable);
    assert_eq!(edits.len(), 1);
    String::from_utf8(edits[0].value.clone()).unwrap()
}

#[test]
fn recommended_defaults() {
    let calls = Cell::new(0);
    let edits = policy(serde_json::json!({"request": {"defaults": true}})).request_edits(|name| {
        calls.set(calls.get() + 1);
        variable(name)
    });
    assert_eq!(
        edits,
        [
            Edit::set("Host", "example.com"),
            Edit::set("X-Real-IP", "192.0.2.1"),
            Edit::set("X-Forwarded-For", "203.0.113.9, 192.0.2.1"),
            Edit::set("X-Forwarded-Proto", "https"),
        ]
    );
    assert_eq!(calls.get(), 4);
}

#[test]
fn defaults_give_way_to_what_is_set_or_removed() {
    let edits = policy(serde_json::json!({"request": {
        "defaults": true,
        "set": [["x-real-ip", "$http_cf"], ["HOST", "backend"]],
        "remove": ["X-Forwarded-Proto"],
        "append": [["X-Forwarded-For", "10.0.0.1"]],
    }}))
    .request_edits(variable);
    assert_eq!(
        edits,
        [
            Edit::remove("X-Forwarded-Proto"),
            Edit::set("X-Forwarded-For", "203.0.113.9, 192.0.2.1"),
            Edit::remove("x-real-ip"),
            Edit::set("HOST", "backend"),
            Edit::append("X-Forwarded-For", "10.0.0.1"),
        ]
    );
}

#[test]
fn an_empty_value_removes_and_appends_nothing() {
    let edits = policy(serde_json::json!({"request": {
        "set": [["a", ""], ["b", "$empty"], ["c", "$nosuch"], ["d", "x$empty"]],
        "append": [["e", "$empty"], ["f", "1"]],
    }}))
    .request_edits(variable);
    assert_eq!(
        edits,
        [Edit::remove("a"), Edit::remove("b"), Edit::remove("c"), Edit::set("d", "x"), Edit::append("f", "1")]
    );
}

#[test]
fn templates() {
    for (template, expected) in [
        ("plain", "plain"),
        ("$host", "example.com"),
        ("${host}", "example.com"),
        ("<$host>", "<example.com>"),
        ("${scheme}x$host/", "httpsxexample.com/"),
        ("$scheme://$host", "https://example.com"),
        ("$$1 $$host", "$1 $host"),
        ("a$nosuch-b", "a-b"),
        ("été $host", "été example.com"),
    ] {
        assert_eq!(value(template), expected, "{template}");
    }
}

#[test]
fn what_no_header_may_hold_becomes_a_space() {
    assert_eq!(value("$uri"), "/a  X-Evil: 1");
    assert_eq!(value("a\tb"), "a\tb");
}

#[test]
fn wrong_headers_are_refused() {
    for (key, pair, error) in [
        ("set", ["X Y", "v"], "/request/set/0/0: `X Y` is not a header name"),
        ("set", ["", "v"], "/request/set/0/0: `` is not a header name"),
        ("append", ["Été", "v"], "/request/append/0/0: `Été` is not a header name"),
        ("set", ["Connection", "upgrade"], "/request/set/0/0: `Connection` is the proxy's to set"),
        ("append", ["UPGRADE", "x"], "/request/append/0/0: `UPGRADE` is the proxy's to set"),
        ("set", ["X", "a\nb"], "/request/set/0/1: `\\n` cannot stand in a header"),
        ("set", ["X", "$"], "/request/set/0/1: `$`: a `$` begins a variable"),
        ("set", ["X", "${a"], "/request/set/0/1: `${a`: a `$` begins a variable"),
        ("set", ["X", "${a b}"], "/request/set/0/1: `${a b}`: a `$` begins a variable"),
        ("set", ["X", "$-"], "/request/set/0/1: `$-`: a `$` begins a variable"),
    ] {
        let message = refused(serde_json::json!({"request": {key: [pair]}}));
        assert!(message.starts_with(error), "{message}");
    }
    let message = refused(serde_json::json!({"response": {"remove": ["ok", "Te"]}}));
    assert!(message.starts_with("/response/remove/1: `Te` is the proxy's"), "{message}");
    assert_eq!(
        refused(serde_json::json!({"response": {"defaults": true}})),
        "/response/defaults: only a request has default headers"
    );
}

#[test]
fn as_a_plugin() {
    let mut plugin: HeaderMap = testing::configure(
        r#"{"request":{"defaults":true,"set":[["X-Up","$http_upgrade"]],"append":[],"remove":["X-Debug"]},
            "response":{"set":[["X-Host","$host"]],"append":[],"remove":["Server"]}}"#,
    )
    .unwrap();
    let request = testing::Request::websocket("/ws").header("Host", "Example.com:8080");
    let edits = testing::with(&request, || plugin.on_request()).unwrap();
    assert_eq!(
        edits,
        [
            Edit::remove("X-Debug"),
            Edit::set("Host", "example.com"),
            Edit::set("X-Real-IP", "127.0.0.1"),
            Edit::set("X-Forwarded-For", "127.0.0.1"),
            Edit::set("X-Forwarded-Proto", "http"),
            Edit::set("X-Up", "websocket"),
        ]
    );
    let edits = testing::with_response(&request, &testing::Response::new(101), || plugin.on_response()).unwrap();
    assert_eq!(edits, [Edit::remove("Server"), Edit::set("X-Host", "example.com")]);
    let error = testing::configure::<HeaderMap>(r#"{"request":{"set":[["X-Conn"]]}}"#).unwrap_err();
    assert!(error.pointer().starts_with("/request/set/0"), "{error}");
}

#[test]
fn added_headers_depend_on_the_status() {
    let mut plugin: HeaderMap = testing::configure(
        r#"{"response":{"append":[["X-Always","1"]],"add":[["X-Some","$host"],["ETag","e"],["X-Empty",""]]}}"#,
    )
    .unwrap();
    let request = testing::Request::get("/").header("Host", "a.test");
    let mut edits =
        |status| testing::with_response(&request, &testing::Response::new(status), || plugin.on_response()).unwrap();
    let always = Edit::append("X-Always", "1");
    for status in ADDED_TO {
        let expected = [always.clone(), Edit::append("X-Some", "a.test"), Edit::set("ETag", "e")];
        assert_eq!(edits(status), expected, "{status}");
    }
    for status in [101, 202, 300, 305, 400, 404, 500, 502] {
        assert_eq!(edits(status), std::slice::from_ref(&always), "{status}");
    }
    for (key, pointer) in [("request", "/request/add"), ("response", "/response/add/0/0")] {
        let name = if key == "request" { "X" } else { "Upgrade" };
        let message = refused(serde_json::json!({key: {"add": [[name, "v"]]}}));
        assert!(message.starts_with(pointer), "{message}");
    }
}

#[test]
fn locations_and_cookies_of_the_upstream_are_rewritten() {
    let mut plugin: HeaderMap = testing::configure(
        r#"{"upstream":{"location":[["http://b/two/","/one/"]],"cookie_paths":[["/two/","/one/"]],
                        "absolute":{"port":true}},
            "response":{"set":[["X-Host","$host"]]}}"#,
    )
    .unwrap();
    let request = testing::Request::get("/").header("Host", "a.test").local("192.0.2.1:8080".parse().unwrap());
    let response = testing::Response::new(302)
        .header("Location", "http://b/two/x")
        .header("Refresh", "3; url=http://b/two/")
        .header("Set-Cookie", "a=1; Path=/other")
        .header("Set-Cookie", "b=1; Path=/two/");
    let host = Edit::set("X-Host", "a.test");
    assert_eq!(
        testing::with_response(&request, &response, || plugin.on_response()).unwrap(),
        [
            Edit::set("Location", "http://a.test:8080/one/x"),
            Edit::set("Refresh", "3; url=/one/"),
            Edit::set("Set-Cookie", "a=1; Path=/other"),
            Edit::append("Set-Cookie", "b=1; Path=/one/"),
            host.clone(),
        ]
    );
    let own = request.clone().variable("local_answer", "1");
    assert_eq!(testing::with_response(&own, &response, || plugin.on_response()).unwrap(), [host]);
}
