//! `location` within `location`: precedence on each level.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(nested_locations);

fn nested_locations(subject: Subject) {
    let backend =
        Backend::http(|request| tidegate_tests::Response::text(request.head.get("x-location").unwrap_or("none")));
    let at = |location: &str, inner: &str| {
        format!(
            "location {location} {{ proxy_pass http://%backend%; proxy_set_header X-Location '{}'; {inner} }}\n",
            location.replace('"', "")
        )
    };
    let nginx = [
        at("/", ""),
        at(
            "/a/",
            &[
                at("/a/b/", ""),
                at("= /a/c", ""),
                at("~ \\.in", ""),
                at("/a/d/", &at("/a/d/e/", "")),
                at("^~ /a/f/", ""),
            ]
            .concat(),
        ),
        at("^~ /s/", &[at("~ \\.deep", ""), at("/s/t/", "")].concat()),
        at("~ ^/r", &[at("~ x", ""), at("~* Y", "")].concat()),
        at("~ \\.(in|out|deep)", ""),
        at("/u/", &at("/u/v/", "")),
    ]
    .concat();
    let proxy = subject
        .setup()
        .nginx(&nginx)
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/", set_headers = { X-Location = "/" } },
              { match = "/a/", set_headers = { X-Location = "/a/" }, routes = [
                { match = "/a/b/", set_headers = { X-Location = "/a/b/" } },
                { match = "= /a/c", set_headers = { X-Location = "= /a/c" } },
                { match = '~ \.in', set_headers = { X-Location = '~ \.in' } },
                { match = "/a/d/", set_headers = { X-Location = "/a/d/" }, routes = [
                  { match = "/a/d/e/", set_headers = { X-Location = "/a/d/e/" } },
                ] },
                { match = "^~ /a/f/", set_headers = { X-Location = "^~ /a/f/" } },
              ] },
              { match = "^~ /s/", set_headers = { X-Location = "^~ /s/" }, routes = [
                { match = '~ \.deep', set_headers = { X-Location = '~ \.deep' } },
                { match = "/s/t/", set_headers = { X-Location = "/s/t/" } },
              ] },
              { match = "~ ^/r", set_headers = { X-Location = "~ ^/r" }, routes = [
                { match = "~ x", set_headers = { X-Location = "~ x" } },
                { match = "~* Y", set_headers = { X-Location = "~* Y" } },
              ] },
              { match = '~ \.(in|out|deep)', set_headers = { X-Location = '~ \.(in|out|deep)' } },
              { match = "/u/", set_headers = { X-Location = "/u/" }, routes = [
                { match = "/u/v/", set_headers = { X-Location = "/u/v/" } },
              ] },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    check(&proxy);
}

#[track_caller]
fn check(proxy: &Proxy) {
    for (path, wanted) in [
        ("/", "/"),
        ("/z", "/"),
        ("/a/", "/a/"),
        ("/a/x", "/a/"),
        ("/a/b/x", "/a/b/"),
        ("/a/c", "= /a/c"),
        ("/a/c/", "/a/"),
        ("/a/x.in", "~ \\.in"),
        ("/a/x.out", "~ \\.(in|out|deep)"),
        ("/a/b/x.in", "~ \\.in"),
        ("/a/b/x.out", "~ \\.(in|out|deep)"),
        ("/a/d/e/x", "/a/d/e/"),
        ("/a/d/e/x.in", "~ \\.in"),
        ("/a/f/x.in", "~ \\.(in|out|deep)"),
        ("/s/x.out", "^~ /s/"),
        ("/s/x.deep", "~ \\.deep"),
        ("/s/t/x.out", "/s/t/"),
        ("/s/t/x.deep", "~ \\.deep"),
        ("/r", "~ ^/r"),
        ("/rx", "~ x"),
        ("/ry", "~* Y"),
        ("/rxy.in", "~ x"),
        ("/u/v", "301"),
        ("/u", "301"),
    ] {
        let (head, body) = proxy.get(path);
        let got = if head.status() == 200 { body.text() } else { head.status().to_string() };
        assert_eq!(got, wanted, "{path}");
    }
}
