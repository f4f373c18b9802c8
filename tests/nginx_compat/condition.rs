//! `if`, `geo` and `split_clients`: rules under a condition, maps of networks and of shares,
//! and an upstream that a variable names.

use tidegate_tests::{Backend, Subject, both};

both!(rules_under_a_condition, maps_of_networks_and_shares, an_upstream_by_a_variable);

fn rules_under_a_condition(subject: Subject) {
    let backend = Backend::named("passed");
    let proxy = subject
        .setup()
        .nginx(
            r#"
            server {
                listen %listen%;
                if ($http_x_blocked) { return 403; }
                if ($arg_to = "new") { return 301 https://new.test$request_uri; }
                location / { proxy_pass http://%backend%; }
                location /a/ {
                    if ($request_method !~ ^(GET|HEAD)$) { return 405; }
                    if ($arg_v ~* "^v(\d+)$") { rewrite ^ /versions last; }
                    if ($arg_stop) { break; }
                    rewrite ^/a/(.*)$ /b/$1 last;
                }
                location /b/ { return 200 "b $uri"; }
                location /versions { return 200 "versions"; }
            }
            "#,
        )
        .tidegate(
            r#"
            [maps.to_new]
            from = "$arg_to"
            values = { '~^new$' = "1" }
            [maps.writes]
            from = "$request_method"
            default = "1"
            values = { '~^(GET|HEAD)$' = "" }
            [maps.version]
            from = "$arg_v"
            values = { '~*^v(\d+)$' = "1" }
            [[sites]]
            rewrites = [
              { if = "$http_x_blocked", respond = { status = 403 } },
              { if = "$to_new", respond = { status = 301, location = "https://new.test$request_uri" } },
            ]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            [[sites.routes]]
            match = "/a/"
            upstream = "%backend%"
            rewrites = [
              { if = "$writes", respond = { status = 405 } },
              { if = "$version", match = "^", to = "/versions", flag = "last" },
              { if = "$arg_stop", flag = "break" },
              { match = "^/a/(.*)$", to = "/b/$1", flag = "last" },
            ]
            [[sites.routes]]
            match = "/b/"
            respond = { status = 200, body = "b $uri" }
            [[sites.routes]]
            match = "/versions"
            respond = { status = 200, body = "versions" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let asked = |method: &str, target: &str, lines: &str| {
        let (head, body) = proxy.ask(format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        match (head.status(), head.get("location")) {
            (200, _) => body.text(),
            (status, Some(location)) => format!("{status} {location}"),
            (status, None) => status.to_string(),
        }
    };
    for (method, target, lines, wanted) in CASES {
        assert_eq!(asked(method, target, lines), wanted, "{method} {target} {lines}");
    }
    // `break` leaves the request in its location.
    let stopped = asked("GET", "/a/x?stop=1", "");
    assert_eq!(stopped, if subject == Subject::Nginx { "404" } else { "passed" });
}

/// Method, target, header lines, answer.
const CASES: [(&str, &str, &str, &str); 9] = [
    ("GET", "/", "", "passed"),
    ("GET", "/", "X-Blocked: 1\r\n", "403"),
    ("GET", "/", "X-Blocked: 0\r\n", "passed"),
    ("GET", "/x?to=new", "", "301 https://new.test/x?to=new"),
    ("GET", "/x?to=NEW", "", "passed"),
    ("DELETE", "/a/x", "", "405"),
    ("GET", "/a/x", "", "b /b/x"),
    ("GET", "/a/x?v=V12", "", "versions"),
    ("GET", "/a/x?v=12", "", "b /b/x"),
];

fn maps_of_networks_and_shares(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            r#"
            geo $arg_ip $net { default out; 10.0.0.0/8 ten; 10.1.0.0/16 eleven; 2001:db8::/32 doc; }
            split_clients $arg_id $share { 0.5% a; 20% b; 50% c; * rest; }
            server { listen %listen%; location / { return 200 "$net $share"; } }
            "#,
        )
        .tidegate(
            r#"
            [maps.net]
            from = "$arg_ip"
            networks = true
            default = "out"
            values = { "10.0.0.0/8" = "ten", "10.1.0.0/16" = "eleven", "2001:db8::/32" = "doc" }
            [maps.share]
            from = "$arg_id"
            shares = true
            default = "rest"
            values = { "0.5%" = "a", "20%" = "b", "50%" = "c" }
            [[sites]]
            [[sites.routes]]
            match = "/"
            respond = { status = 200, body = "$net $share" }
            "#,
        )
        .start();
    for (ip, net) in
        [("10.2.3.4", "ten"), ("10.1.3.4", "eleven"), ("2001:db8::1", "doc"), ("192.0.2.1", "out"), ("none", "out")]
    {
        let (_, body) = proxy.get(&format!("/?ip={ip}"));
        assert_eq!(body.text().split(' ').next(), Some(net), "{ip}");
    }
    // The shares are those of nginx, text by text.
    let shares: String = (0..60)
        .map(|id| proxy.get(&format!("/?id=client-{id}")).1.text().split_once(' ').unwrap().1.chars().next().unwrap())
        .collect();
    assert_eq!(shares, SHARES);
}

/// What nginx makes of `client-0` to `client-59`.
const SHARES: &str = "crcrccrrrbccrbcbcbrccccbrbrbcrcrcrcbcbcbarbcccbbcccrcrcrccrc";

fn an_upstream_by_a_variable(subject: Subject) {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let proxy = subject
        .setup()
        .nginx(
            r#"
            upstream one { server %one%; }
            upstream two { server %two%; }
            map $cookie_version $chosen { default one; v2 two; }
            server { listen %listen%; location / { proxy_pass http://$chosen; } }
            "#,
        )
        .tidegate(
            r#"
            [upstreams.one]
            peers = ["%one%"]
            [upstreams.two]
            peers = ["%two%"]
            [maps.chosen]
            from = "$cookie_version"
            default = "one"
            values = { v2 = "two" }
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "one"
            upstream_by = "$chosen"
            "#,
        )
        .var("one", one.address())
        .var("two", two.address())
        .start();
    for (cookie, wanted) in [("", "one"), ("Cookie: version=v2\r\n", "two"), ("Cookie: version=v1\r\n", "one")] {
        let (_, body) = proxy.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{cookie}\r\n"));
        assert_eq!(body.text(), wanted, "{cookie}");
    }
}
