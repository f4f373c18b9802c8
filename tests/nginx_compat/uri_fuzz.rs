//! Some hundred generated request targets: what location they meet, and what the backend is
//! asked. nginx answers first, and Tidegate must say the same.

use tidegate_tests::{Backend, Noise, Proxy, Response, Subject};

const NGINX: &str = "
    proxy_http_version 1.1;
    location / { proxy_pass http://%backend%; proxy_set_header X-At '/'; }
    location /a/ { proxy_pass http://%backend%/x/; proxy_set_header X-At '/a/'; }
    location /a/b { proxy_pass http://%backend%/; proxy_set_header X-At '/a/b'; }
    location = /a/b/ { proxy_pass http://%backend%; proxy_set_header X-At '= /a/b/'; }
    location ^~ /A/ { proxy_pass http://%backend%/y; proxy_set_header X-At '^~ /A/'; }
    location ~ /b/(.*)c { rewrite /b/(.*)c(.*) /z/$1?r=$2 break; proxy_pass http://%backend%; proxy_set_header X-At '~ c'; }
    location ~* \\.PHP { proxy_pass http://%backend%; proxy_set_header X-At '~* php'; }
    location /r/ { return 302 /moved$uri$is_args$args; }
";

const TIDEGATE: &str = r#"
    [[sites]]
    upstream = "%backend%"
    routes = [
      { match = "/", set_headers = { X-At = "/" } },
      { match = "/a/", replace_prefix = "/x/", set_headers = { X-At = "/a/" } },
      { match = "/a/b", replace_prefix = "/", set_headers = { X-At = "/a/b" } },
      { match = "= /a/b/", set_headers = { X-At = "= /a/b/" } },
      { match = "^~ /A/", replace_prefix = "/y", set_headers = { X-At = "^~ /A/" } },
      { match = "~ /b/(.*)c", set_headers = { X-At = "~ c" }, rewrites = [
        { match = "/b/(.*)c(.*)", to = "/z/$1?r=$2", flag = "break" } ] },
      { match = '~* \.PHP', set_headers = { X-At = "~* php" } },
      { match = "/r/", respond = { location = "/moved$uri$is_args$args" } },
    ]
"#;

/// Pieces that mean something in a path.
const PIECES: [&str; 34] = [
    "/", "/", "/", "a", "b", "A", "r", "c", ".", "..", "./", "../", "//", "%2F", "%2f", "%2E", "%2e%2e", "%61", "%41",
    "%20", "%25", "%3F", "%23", "%C3%A9", ".php", ".PhP", "+", "%2B", "&", ";", "~", "%7E", "=", ":",
];

const QUERIES: [&str; 8] = ["", "", "?", "?x=1", "?a=%2F../b", "?//", "?a?b", "?&+;%20"];

fn targets() -> Vec<String> {
    let mut noise = Noise::new(20_260_101);
    let mut pick = |from: &[&'static str]| from[usize::from(noise.take(1)[0]) % from.len()];
    let starts = ["/", "/a/", "/a/b", "/A/", "/r/", "/a/b/", "/x"];
    let one = |_| {
        let mut target = pick(&starts).to_owned();
        for _ in 0..7 {
            target.push_str(pick(&PIECES));
            if pick(&["stop", "on", "on", "on"]) == "stop" {
                break;
            }
        }
        target.push_str(pick(&QUERIES));
        target
    };
    (0..400).map(one).collect()
}

/// What became of a target: status and Location, or where it went and as what.
fn outcome(proxy: &Proxy, target: &str) -> String {
    let (head, body) = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"));
    match head.status() {
        200 => body.text(),
        status => {
            let location = head.get("location").unwrap_or_default();
            format!("{status} {}", location.replace(&proxy.address().port().to_string(), "PORT"))
        }
    }
}

#[test]
fn generated_targets_mean_the_same() {
    let backend = Backend::http(|request| {
        Response::text(format!("{} @ {}", request.head.target(), request.head.get("x-at").unwrap_or("none")))
    });
    let start =
        |subject: Subject| subject.setup().nginx(NGINX).tidegate(TIDEGATE).var("backend", backend.address()).start();
    let (nginx, tidegate) = (start(Subject::Nginx), start(Subject::Tidegate));
    let mut wrong = Vec::new();
    let mut kinds = std::collections::BTreeSet::new();
    for target in targets() {
        let (wanted, got) = (outcome(&nginx, &target), outcome(&tidegate, &target));
        kinds.insert(wanted.split_once('@').map_or_else(|| wanted[..3].to_owned(), |(_, at)| at.to_owned()));
        if wanted != got {
            wrong.push(format!("{target}\n  nginx    {wanted}\n  tidegate {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // They met every location, and every way to be answered.
    assert!(kinds.len() >= 9, "{kinds:?}");
}
