//! `proxy_pass` with a URI part: what replaces the matched prefix, and how the rest is
//! decoded and escaped again.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(the_prefix_is_replaced, without_a_uri_the_target_is_left_alone);

fn asked(proxy: &Proxy, path: &str) -> String {
    let (head, body) = proxy.get(path);
    assert_eq!(head.status(), 200, "{path}");
    body.text().strip_prefix("GET ").and_then(|line| line.strip_suffix(" HTTP/1.1")).expect("a request line").to_owned()
}

#[track_caller]
fn check(proxy: &Proxy, table: &[(&str, &str)]) {
    let wrong: Vec<_> = table
        .iter()
        .filter_map(|(path, wanted)| {
            let got = asked(proxy, path);
            (got != *wanted).then(|| format!("{path}: {got}, not {wanted}"))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

fn the_prefix_is_replaced(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject
        .setup()
        .nginx(
            "proxy_http_version 1.1;
             location /a/ { proxy_pass http://%backend%/; }
             location /api/ { proxy_pass http://%backend%/v1/things/; }
             location /join { proxy_pass http://%backend%/x; }
             location = /one { proxy_pass http://%backend%/two; }
             location ^~ /up/ { proxy_pass http://%backend%/down; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            [[sites.routes]]
            match = "/a/"
            replace_prefix = "/"
            [[sites.routes]]
            match = "/api/"
            replace_prefix = "/v1/things/"
            [[sites.routes]]
            match = "/join"
            replace_prefix = "/x"
            [[sites.routes]]
            match = "= /one"
            replace_prefix = "/two"
            [[sites.routes]]
            match = "^~ /up/"
            replace_prefix = "/down"
            "#,
        )
        .var("backend", backend.address())
        .start();
    let table = [
        ("/a/", "/"),
        ("/a/b", "/b"),
        ("/a/b?c=d", "/b?c=d"),
        ("/a/?", "/"),
        ("/api/7", "/v1/things/7"),
        ("/api/", "/v1/things/"),
        ("/join", "/x"),
        ("/joined", "/xed"),
        ("/join/y", "/x/y"),
        ("/one", "/two"),
        ("/one?x=%20", "/two?x=%20"),
        ("/up/side", "/downside"),
        // Decoded, resolved, escaped again.
        ("/a/b%20c", "/b%20c"),
        ("/a/b%2Fc", "/b/c"),
        ("/a/%62", "/b"),
        ("/a/%7Euser", "/~user"),
        ("/a/caf%C3%A9", "/caf%C3%A9"),
        ("/a/caf%c3%a9", "/caf%C3%A9"),
        ("/a/100%25", "/100%25"),
        ("/a/q%3Fx=1", "/q%3Fx=1"),
        ("/a/h%23x", "/h%23x"),
        ("/a/b;c=d,e", "/b;c=d,e"),
        ("/a/b+c", "/b+c"),
        ("/a/b%2Bc", "/b+c"),
        ("/a/b%26c%3Dd", "/b&c=d"),
        ("/a/%22%3C%3E%5C%5E%60%7B%7C%7D", "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/a/b//c/./d/../e", "/b/c/e"),
        ("/a/%01%7F", "/%01%7F"),
        ("/a/x?y=%2F&z=a%20b", "/x?y=%2F&z=a%20b"),
        ("/a/b:c@d!$'()*", "/b:c@d!$'()*"),
        ("/a/[b]", "/[b]"),
    ];
    check(&proxy, &table);
}

fn without_a_uri_the_target_is_left_alone(subject: Subject) {
    let backend = Backend::reflect();
    let proxy = subject.before(backend.address());
    for path in
        ["/a%20b", "/a%2Fb", "/caf%c3%a9", "/a//b/./c/../d", "/x?y=%2F&&z", "/%7euser", "/a;b=c", "/?", "/a?b?c"]
    {
        assert_eq!(asked(&proxy, path), path);
    }
}
