//! `proxy_redirect`: Location and Refresh of the upstream.

use tidegate_tests::{Backend, Proxy, Response, Subject, both};

both!(the_default, rules_and_off, answers_of_the_proxy_are_left_alone);

/// A backend that redirects to its query; with `refresh` in its path by Refresh.
fn redirecting() -> Backend {
    Backend::http(|request| {
        let target = request.head.target();
        let to = target.split_once('?').map_or("", |(_, to)| to);
        if target.contains("refresh") {
            Response::text("x").header("Refresh", &to.replace("%20", " "))
        } else {
            Response::new(302).header("Location", to)
        }
    })
}

/// The Location or Refresh of an answer, with the listener's port as `PORT`.
fn told(proxy: &Proxy, target: &str) -> String {
    let (head, _) = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    let value = head.get("location").or(head.get("refresh")).unwrap_or("none");
    value.replace(&format!(":{}", proxy.address().port()), ":PORT")
}

fn the_default(subject: Subject) {
    let backend = redirecting();
    let proxy = subject
        .setup()
        .nginx(
            "upstream app { server %backend%; }
             server { listen %listen%; server_name a.test;
                location /one/ { proxy_pass http://app/two/; }
                location /plain { proxy_pass http://app; }
                location /direct/ { proxy_pass http://%backend%/d/; }
                location /rel/ { absolute_redirect off; proxy_pass http://app/two/; }
             }",
        )
        .tidegate(
            r#"
            [upstreams.app]
            peers = ["%backend%"]
            [[sites]]
            names = ["a.test"]
            upstream = "app"
            # nginx's default Host, without which Tidegate does not look at Location.
            set_headers = { Host = "app" }
            routes = [
              { match = "/one/", replace_prefix = "/two/" },
              { match = "/plain" },
              { match = "/direct/", upstream = "%backend%", replace_prefix = "/d/" },
              { match = "/rel/", replace_prefix = "/two/", absolute_redirect = false },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (target, wanted) in [
        ("/one/x?http://app/two/y?z=1", "http://a.test:PORT/one/y?z=1"),
        ("/one/x?http://app/three", "http://app/three"),
        ("/one/x?https://app/two/", "https://app/two/"),
        ("/one/x?http://app:80/two/", "http://app:80/two/"),
        ("/one/x?/two/y", "/two/y"),
        ("/one/x?y", "y"),
        ("/one/refresh?3;%20url=http://app/two/y", "3; url=/one/y"),
        ("/one/refresh?3;%20URL=http://app/two/y", "3; URL=/one/y"),
        ("/one/refresh?3;%20url=/two/y", "3; url=/two/y"),
        ("/one/refresh?3", "3"),
        ("/plain?http://app/y", "http://a.test:PORT/y"),
        ("/plain?http://app", "http://app"),
        ("/plain?http://other/y", "http://other/y"),
        ("/rel/?http://app/two/y", "/rel/y"),
    ] {
        assert_eq!(told(&proxy, target), wanted, "{target}");
    }
    let target = format!("/direct/?http://{}/d/y", backend.address());
    assert_eq!(told(&proxy, &target), "http://a.test:PORT/direct/y");
}

fn rules_and_off(subject: Subject) {
    let backend = redirecting();
    let proxy = subject
        .setup()
        .nginx(
            r"location /off { proxy_redirect off; proxy_pass http://%backend%; }
             location / {
                proxy_redirect http://b.test/two/ http://front/one/;
                proxy_redirect http://$host/ https://$host:$server_port/;
                proxy_redirect ~^http://re[^/]+/(.*)$ /re/$1;
                proxy_redirect ~*^http://(?<who>NOCASE)/(.*)$ https://$who/$2?$arg_x;
                proxy_redirect /start /end;
                proxy_pass http://%backend%;
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            [[sites.routes]]
            match = "/off"
            rewrite_location = {}
            [[sites.routes]]
            match = "/"
            [sites.routes.rewrite_location]
            "http://b.test/two/" = "http://front/one/"
            "http://$host/" = "https://$host:$server_port/"
            '~^http://re[^/]+/(.*)$' = '/re/$1'
            '~*^http://(?<who>NOCASE)/(.*)$' = 'https://$who/$2?$arg_x'
            "/start" = "/end"
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (target, wanted) in [
        ("/off?http://b.test/two/", "http://b.test/two/"),
        ("/?http://b.test/two/x", "http://front/one/x"),
        ("/?http://b.test/tw", "http://b.test/tw"),
        ("/?http://B.test/two/x", "http://B.test/two/x"),
        ("/?http://a.test/x", "https://a.test:PORT/x"),
        ("/?http://re1/x/y", "http://a.test:PORT/re/x/y"),
        ("/?http://nocase/x", "https://nocase/x?"),
        ("/?/start/x", "http://a.test:PORT/end/x"),
        ("/?/other", "/other"),
        ("/refresh?1;url=http://re1/x", "1;url=/re/x"),
    ] {
        assert_eq!(told(&proxy, target), wanted, "{target}");
    }
}

fn answers_of_the_proxy_are_left_alone(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx("location / { proxy_redirect http://b.test/ http://c.test/; return 301 http://b.test/x; }")
        .tidegate(
            r#"
            [[sites]]
            routes = [{ match = "/", upstream = "127.0.0.1:1", rewrite_location = { "http://b.test/" = "http://c.test/" }, respond = { status = 301, location = "http://b.test/x" } }]
            "#,
        )
        .start();
    assert_eq!(told(&proxy, "/"), "http://b.test/x");
}
