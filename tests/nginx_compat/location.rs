//! `location`: which one a path meets.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(precedence, regexes_in_order, normalised_paths, a_prefix_with_a_slash_redirects_to_itself);

/// Every location passes on its number; what the backend was told for each path.
fn located(subject: Subject, locations: &[&str]) -> (Proxy, Backend) {
    let backend =
        Backend::http(|request| tidegate_tests::Response::text(request.head.get("x-location").unwrap_or("none")));
    let (mut nginx, mut toml) = (String::new(), "[[sites]]\nupstream = \"%backend%\"\n".to_owned());
    for location in locations {
        let (modifier, pattern) =
            location.split_once(' ').filter(|(m, _)| !m.starts_with('/')).unwrap_or(("", location));
        nginx.push_str(&format!("location {modifier} \"{pattern}\" {{ proxy_pass http://%backend%; proxy_set_header X-Location '{location}'; }}\n"));
        toml.push_str(&format!(
            "[[sites.routes]]\nmatch = '{location}'\nset_headers = {{ X-Location = '{}' }}\n",
            location.replace('$', "$$")
        ));
    }
    // `$` cannot be written in nginx's header values, so these locations have none.
    let proxy = subject.setup().nginx(&nginx).tidegate(&toml).var("backend", backend.address()).start();
    (proxy, backend)
}

#[track_caller]
fn check(proxy: &Proxy, table: &[(&str, &str)]) {
    let wrong: Vec<_> = table
        .iter()
        .filter_map(|(path, wanted)| {
            let (head, body) = proxy.get(path);
            let got = if head.status() == 200 { body.text() } else { head.status().to_string() };
            (got != *wanted).then(|| format!("{path}: {got}, not {wanted}"))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

fn precedence(subject: Subject) {
    let locations = [
        "/",
        "= /",
        "/images/",
        "~* \\.(gif|jpg|jpeg)",
        "^~ /static/",
        "/static/private/",
        "^~ /static/private/keys/",
        "= /ws",
        "/ws",
        "/ws/",
        "~ ^/ws/v[0-9]+",
        "~ \\.php",
        "~* ^/CASE",
        "/case/",
        "= /exact/",
        "/exact",
        "/long",
        "/longer",
    ];
    let (proxy, backend) = located(subject, &locations);
    let table = [
        ("/", "= /"),
        ("/?x=y", "= /"),
        ("/index.html", "/"),
        ("/images/", "/images/"),
        ("/images/1.png", "/images/"),
        ("/images/1.gif", "~* \\.(gif|jpg|jpeg)"),
        ("/images/1.GIF", "~* \\.(gif|jpg|jpeg)"),
        ("/static/1.gif", "^~ /static/"),
        ("/static/", "^~ /static/"),
        ("/static/private/1.txt", "/static/private/"),
        ("/static/private/1.gif", "~* \\.(gif|jpg|jpeg)"),
        ("/static/private/keys/1.gif", "^~ /static/private/keys/"),
        ("/ws", "= /ws"),
        ("/ws?token=1", "= /ws"),
        ("/wsx", "/ws"),
        ("/ws/", "/ws/"),
        ("/ws/chat", "/ws/"),
        ("/ws/v2", "~ ^/ws/v[0-9]+"),
        ("/ws/v2/chat.php", "~ ^/ws/v[0-9]+"),
        ("/ws/vx", "/ws/"),
        ("/a.php", "~ \\.php"),
        ("/a.PHP", "/"),
        ("/case/x", "~* ^/CASE"),
        ("/CASE", "~* ^/CASE"),
        ("/exact/", "= /exact/"),
        ("/exact/x", "/exact"),
        ("/exact", "/exact"),
        ("/long", "/long"),
        ("/longe", "/long"),
        ("/longer", "/longer"),
        ("/longest", "/long"),
        ("/Long", "/"),
    ];
    check(&proxy, &table);
    drop(proxy);
    backend.join();
}

fn regexes_in_order(subject: Subject) {
    let (proxy, backend) = located(subject, &["~ bb", "~ ab", "~* AB", "/ab", "~ ^/c.*d", "~ ^/cd"]);
    check(
        &proxy,
        &[("/abb", "~ bb"), ("/ab", "~ ab"), ("/xAb", "~* AB"), ("/aB", "~* AB"), ("/cd", "~ ^/c.*d"), ("/c", "404")],
    );
    drop(proxy);
    backend.join();
}

/// A location is met by the path decoded and with `.`, `..` and doubled slashes resolved.
fn normalised_paths(subject: Subject) {
    let (proxy, backend) = located(subject, &["/", "/a/", "/b/", "= /a b", "~ ^/caf\u{e9}", "/a/c%d/", "= /q?x"]);
    let table = [
        ("/a/../b/x", "/b/"),
        ("/a/./x", "/a/"),
        ("//a//x", "/a/"),
        ("/x/../a/", "/a/"),
        ("/a/..", "/"),
        ("/%61/x", "/a/"),
        ("/a%2Fx", "/a/"),
        ("/a/%2E%2E/b/x", "/b/"),
        ("/a/..%2Fb/x", "/b/"),
        ("/a%20b", "= /a b"),
        ("/a+b", "/"),
        ("/caf%C3%A9", "~ ^/caf\u{e9}"),
        ("/a/c%25d/", "/a/c%d/"),
        ("/q%3Fx", "= /q?x"),
        ("/q?x", "/"),
        ("/a/x?../b/", "/a/"),
        ("/..", "400"),
        ("/a/../../b/", "400"),
        ("/a%zz", "400"),
        ("/a%00", "400"),
    ];
    check(&proxy, &table);
    drop(proxy);
    backend.join();
}

/// nginx, `location`: "If a location is defined by a prefix string that ends with the slash
/// character, and requests are processed by proxy_pass, … in response to a request with URI
/// equal to this string, but without the trailing slash, a permanent redirect …".
fn a_prefix_with_a_slash_redirects_to_itself(subject: Subject) {
    let (proxy, backend) = located(subject, &["/images/", "/both/", "= /both"]);
    let (head, _) = proxy.get("/images?x=1");
    assert_eq!(head.status(), 301);
    assert!(head.get("location").unwrap().ends_with("/images/?x=1"), "{:?}", head.get("location"));
    check(&proxy, &[("/both", "= /both"), ("/both/", "/both/"), ("/image", "404")]);
    drop(proxy);
    backend.join();
}
