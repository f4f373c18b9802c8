//! Clients without TLS.

use super::*;

#[test]
fn clients_without_tls_are_sent_to_https() {
    let https = serde_json::json!({"status": 308, "port": 8443});
    let ask = |policy: &Policy, local, host, path| match policy.choose(&Asks {
        host,
        path,
        raw: Some(path),
        local: Some(local),
    }) {
        Choice::Route { name, .. } => name.to_owned(),
        Choice::Reply { reply, route } => format!("{} {}", shown(&reply), route.unwrap_or("-")),
    };
    let route =
        |path: &str, https: &serde_json::Value| serde_json::json!({"name": path, "match": path, "https": https});
    let whole = policy(serde_json::json!({"sites": [{
        "names": ["a.test"], "default": true, "route": "own", "https": https, "rewrites": [{"match": "^/x", "to": "/y"}],
        "routes": [route("/", &https), route("/dir/", &https)],
    }]}));
    for (local, host, path, expected) in [
        ("192.0.2.1:80", "b.test", "/x?c=%20d", "308 https://b.test:8443/x?c=%20d own"),
        ("192.0.2.1:80", "", "/", "308 https://a.test:8443/ own"),
        (TLS, "b.test", "/x", "/"),
        (TLS, "b.test", "/dir", "301 http://b.test:8080/dir/ /dir/"),
    ] {
        assert_eq!(ask(&whole, local, host, path), expected, "{local} {path}");
    }
    let in_part = policy(serde_json::json!({"sites": [{
        "route": "own", "https": {}, "routes": [route("/open/", &serde_json::Value::Null), route("= /", &serde_json::json!({}))],
    }]}));
    for (local, host, path, expected) in [
        ("192.0.2.1:80", "b.test", "/open/x", "/open/"),
        ("192.0.2.1:80", "b.test", "/open", "301 http://b.test:8080/open/ /open/"),
        ("192.0.2.1:80", "b.test", "/", "301 https://b.test/ = /"),
        ("192.0.2.1:80", "b.test", "/none", "301 https://b.test/none own"),
        ("192.0.2.1:80", "", "/none", "301 https://192.0.2.1/none own"),
        ("[2001:db8::1]:80", "", "/none", "301 https://[2001:db8::1]/none own"),
        (TLS, "b.test", "/none", "404 no route own"),
    ] {
        assert_eq!(ask(&in_part, local, host, path), expected, "{local} {path}");
    }
    let message = refused(serde_json::json!({"sites": [{"https": {"status": 200}}]}));
    assert!(message.starts_with("/sites/0/https/status: 200 sends nobody on"), "{message}");
}
