//! `rewrite`: flags, captures, queries, escapes, and rules that go round in circles.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(flags, rules_of_a_server, rewrites_and_escapes, redirecting_rules, at_most_ten);

/// The request line that the backend saw, and where: `PATH @ LOCATION`; else the status.
fn asked(proxy: &Proxy, target: &str) -> String {
    let (head, body) = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    if head.status() == 200 { body.text() } else { head.status().to_string() }
}

fn backend() -> Backend {
    Backend::http(|request| {
        let at = request.head.get("x-at").unwrap_or("none");
        tidegate_tests::Response::text(format!("{} @ {at}", request.head.target()))
    })
}

#[track_caller]
fn check(proxy: &Proxy, table: &[(&str, &str)]) {
    let wrong: Vec<_> = table
        .iter()
        .filter_map(|(target, wanted)| {
            let got = asked(proxy, target);
            (got != *wanted).then(|| format!("{target}: {got}, not {wanted}"))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

fn flags(subject: Subject) {
    let backend = backend();
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%backend%; proxy_set_header X-At '/ $uri'; }
             location /last/ { rewrite ^/last/(.*)$ /pass/$1 last; rewrite . /never; proxy_pass http://%backend%; proxy_set_header X-At last; }
             location /break/ { rewrite ^/break/(.*)$ /pass/$1 break; rewrite . /never; proxy_pass http://%backend%/ignored/; proxy_set_header X-At 'break $uri'; }
             location /none/ { rewrite ^/none/(.*)$ /some/$1; rewrite ^/some/(.*)$ /pass/$1; proxy_pass http://%backend%; proxy_set_header X-At none; }
             location /mixed/ { rewrite ^/mixed/(.*)$ /mixed2/$1; rewrite ^/mixed2/(.*)$ /pass/$1 break; proxy_pass http://%backend%; proxy_set_header X-At mixed; }
             location /answer/ { rewrite ^/answer/last /last2 last; rewrite ^/answer/(.*)$ /x/$1; return 200 \"$uri\"; }
             location /pass/ { proxy_pass http://%backend%/up/; proxy_set_header X-At 'pass $uri'; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/", set_headers = { X-At = "/ $uri" } },
              { match = "/last/", set_headers = { X-At = "last" }, rewrites = [
                { match = "^/last/(.*)$", to = "/pass/$1", flag = "last" }, { match = ".", to = "/never" } ] },
              { match = "/break/", replace_prefix = "/ignored/", set_headers = { X-At = "break $uri" }, rewrites = [
                { match = "^/break/(.*)$", to = "/pass/$1", flag = "break" }, { match = ".", to = "/never" } ] },
              { match = "/none/", set_headers = { X-At = "none" }, rewrites = [
                { match = "^/none/(.*)$", to = "/some/$1" }, { match = "^/some/(.*)$", to = "/pass/$1" } ] },
              { match = "/mixed/", set_headers = { X-At = "mixed" }, rewrites = [
                { match = "^/mixed/(.*)$", to = "/mixed2/$1" }, { match = "^/mixed2/(.*)$", to = "/pass/$1", flag = "break" } ] },
              { match = "/answer/", respond = { body = "$uri" }, rewrites = [
                { match = "^/answer/last", to = "/last2", flag = "last" }, { match = "^/answer/(.*)$", to = "/x/$1" } ] },
              { match = "/pass/", replace_prefix = "/up/", set_headers = { X-At = "pass $uri" } },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    check(
        &proxy,
        &[
            ("/x", "/x @ / /x"),
            ("/last/a?q", "/up/a?q @ pass /pass/a"),
            ("/break/a?q", "/pass/a?q @ break /pass/a"),
            ("/break/", "/pass/ @ break /pass/"),
            ("/none/a", "/up/a @ pass /pass/a"),
            ("/mixed/a", "/pass/a @ mixed"),
            ("/answer/last", "/last2 @ / /last2"),
            ("/answer/y", "/x/y"),
        ],
    );
}

fn rules_of_a_server(subject: Subject) {
    let backend = backend();
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name a.test;
                 rewrite ^/old/(?<rest>.*)$ /new/$rest;
                 rewrite ^/two$ /three last;
                 rewrite ^/two|^/three$ /four;
                 rewrite ^/brk/(.*)$ /pre/$1 break;
                 rewrite ^/pre/ /never;
                 rewrite ^/host$ /$host/$server_port-$arg_x last;
                 location / { proxy_pass http://%backend%; proxy_set_header X-At \"/$rest\"; }
                 location /new/ { proxy_pass http://%backend%/N/; proxy_set_header X-At \"new $rest\"; }
                 location /pre/ { proxy_pass http://%backend%/P/; proxy_set_header X-At pre; }
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.test"]
            upstream = "%backend%"
            rewrites = [
              { match = "^/old/(?<rest>.*)$", to = "/new/$rest" },
              { match = "^/two$", to = "/three", flag = "last" },
              { match = "^/two|^/three$", to = "/four" },
              { match = "^/brk/(.*)$", to = "/pre/$1", flag = "break" },
              { match = "^/pre/", to = "/never" },
              { match = "^/host$", to = "/$host/$server_port-$arg_x", flag = "last" },
            ]
            routes = [
              { match = "/", set_headers = { X-At = "/$rest" } },
              { match = "/new/", replace_prefix = "/N/", set_headers = { X-At = "new $rest" } },
              { match = "/pre/", replace_prefix = "/P/", set_headers = { X-At = "pre" } },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    let port = proxy.address().port();
    check(
        &proxy,
        &[
            ("/x", "/x @ /"),
            ("/old/a?b", "/N/a?b @ new a"),
            ("/two", "/three @ /"),
            ("/three", "/four @ /"),
            ("/twofold", "/four @ /"),
            ("/brk/a", "/pre/a @ pre"),
            ("/pre/a", "/never @ /"),
            ("/host?x=1", &format!("/a.test/{port}-1?x=1 @ /")),
        ],
    );
}

fn rewrites_and_escapes(subject: Subject) {
    let backend = backend();
    let rules = [
        ("^/p/(.*)$", "/q/$1"),
        ("^/args/(.*)$", "/a?x=$1"),
        ("^/drop/(.*)$", "/d/$1?"),
        ("^/new/(.*)$", "/n?x=$1?"),
        ("^/lit$", "/l%20i/{x}?y=%20"),
        ("(?i)^/CASE/(.*)$", "/c/$1"),
        ("^/named/(?<name>.*)$", "/n/$name?v=$name"),
        ("^/opt/(a)?(b)?$", "/[$1$2]"),
        ("^/all", "/x$uri$is_args$args?"),
    ];
    let mut nginx = String::new();
    let mut toml = "[[sites]]\nupstream = \"%backend%\"\nroutes = [{ match = \"/\", rewrites = [\n".to_owned();
    for (pattern, to) in rules {
        nginx.push_str(&format!("rewrite \"{pattern}\" \"{to}\" break;\n"));
        toml.push_str(&format!("{{ match = '{pattern}', to = '{to}', flag = \"break\" }},\n"));
    }
    toml.push_str("] }]\n");
    let proxy = subject
        .setup()
        .nginx(&format!("location / {{ {nginx} proxy_pass http://%backend%; }}"))
        .tidegate(&toml)
        .var("backend", backend.address())
        .start();
    let table = [
        ("/p/a", "/q/a"),
        ("/p/a?b=c", "/q/a?b=c"),
        ("/p/a%20b", "/q/a%20b"),
        ("/p/a%2Fb", "/q/a/b"),
        ("/p/%C3%A9", "/q/%C3%A9"),
        ("/p/a+b", "/q/a+b"),
        ("/p/%3F%23%25", "/q/%3F%23%25"),
        ("/p/{x}", "/q/%7Bx%7D"),
        ("/p/./a/../b//c", "/q/b/c"),
        ("/args/a", "/a?x=a"),
        ("/args/a?b=c", "/a?x=a&b=c"),
        ("/args/a%20b%26c+d", "/a?x=a%20b%26c%2Bd"),
        ("/args/a&b;c", "/a?x=a&b;c"),
        ("/args/a+b", "/a?x=a%2Bb"),
        ("/args/%C3%A9", "/a?x=%C3%A9"),
        ("/drop/a?b=c", "/d/a"),
        ("/new/a?b=c", "/n?x=a"),
        ("/lit", "/l%2520i/%7Bx%7D?y=%20"),
        ("/lit?z", "/l%2520i/%7Bx%7D?y=%20&z"),
        ("/case/a", "/c/a"),
        ("/Case/a", "/c/a"),
        ("/named/ab", "/n/ab?v=ab"),
        // nginx does not escape a named group in a query, and Tidegate no more than it must.
        ("/named/a%20b", if subject == Subject::Nginx { "/n/a%20b?v=a" } else { "/n/a%20b?v=a%20b" }),
        ("/opt/b", "/[b]"),
        ("/all/x?y=1", "/x/all/x%3Fy=1"),
        ("/other?a=b", "/other?a=b"),
    ];
    let wanted: Vec<_> = table.iter().map(|(target, path)| (*target, format!("{path} @ none"))).collect();
    let wanted: Vec<_> = wanted.iter().map(|(target, path)| (*target, path.as_str())).collect();
    check(&proxy, &wanted);
}

fn redirecting_rules(subject: Subject) {
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %listen%; server_name a.test;
                 rewrite ^/r/(.*)$ /to/$1 redirect;
                 rewrite ^/p/(.*)$ /to/$1 permanent;
                 rewrite ^/u/(.*)$ http://b.test/$1;
                 rewrite ^/s/(.*)$ $scheme://$host/$1;
                 rewrite ^/q/(.*)$ /to?x=$1 redirect;
                 rewrite ^/d/(.*)$ /to/$1? redirect;
                 rewrite ^/l/(.*)$ https://b.test/$1 last;
                 return 404;
             }",
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["a.test"]
            rewrites = [
              { match = "^/r/(.*)$", to = "/to/$1", flag = "redirect" },
              { match = "^/p/(.*)$", to = "/to/$1", flag = "permanent" },
              { match = "^/u/(.*)$", to = "http://b.test/$1" },
              { match = "^/s/(.*)$", to = "$scheme://$host/$1" },
              { match = "^/q/(.*)$", to = "/to?x=$1", flag = "redirect" },
              { match = "^/d/(.*)$", to = "/to/$1?", flag = "redirect" },
              { match = "^/l/(.*)$", to = "https://b.test/$1", flag = "last" },
            ]
            respond = { status = 404 }
            "#,
        )
        .start();
    let port = proxy.address().port().to_string();
    for (target, wanted) in [
        ("/r/a", "302 http://a.test:PORT/to/a"),
        ("/r/a?b=c", "302 http://a.test:PORT/to/a?b=c"),
        ("/r/a%20b", "302 http://a.test:PORT/to/a%20b"),
        ("/r/a%2Fb%26c%3Fd", "302 http://a.test:PORT/to/a/b&c?d"),
        ("/r/%C3%A9", "302 http://a.test:PORT/to/%C3%A9"),
        ("/r/%25", "302 http://a.test:PORT/to/%25"),
        ("/r/a+b", "302 http://a.test:PORT/to/a+b"),
        ("/p/a", "301 http://a.test:PORT/to/a"),
        ("/u/a?b", "302 http://b.test/a?b"),
        ("/s/a", "302 http://a.test/a"),
        ("/q/a%26b?c", "302 http://a.test:PORT/to?x=a%26b&c"),
        ("/q/a?c", "302 http://a.test:PORT/to?x=a&c"),
        ("/d/a?c", "302 http://a.test:PORT/to/a"),
        ("/l/a", "302 https://b.test/a"),
        ("/other", "404 none"),
    ] {
        let (head, _) = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let location = head.get("location").unwrap_or("none").replace(&port, "PORT");
        assert_eq!(format!("{} {location}", head.status()), wanted, "{target}");
    }
}

fn at_most_ten(subject: Subject) {
    let backend = backend();
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%backend%; }
             location /count { rewrite ^/countx(.*)$ /count$1 last; proxy_pass http://%backend%; }
             location /loop { rewrite ^ /loop; proxy_pass http://%backend%; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/" },
              { match = "/count", rewrites = [{ match = "^/countx(.*)$", to = "/count$1", flag = "last" }] },
              { match = "/loop", rewrites = [{ match = "^", to = "/loop" }] },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    check(
        &proxy,
        &[
            ("/countx", "/count @ none"),
            ("/countxxxxxxxxxx", "/count @ none"),
            ("/countxxxxxxxxxxx", "500"),
            ("/loop", "500"),
        ],
    );
}
