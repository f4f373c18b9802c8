//! What issue B gives to pages and plain requests, over every version of HTTP towards clients: one
//! table, the same expectations.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Read as _;

use tidegate_tests::cell::{Answer, Ask, Down, HOST, Running};
use tidegate_tests::{Backend, Response, wait_for};

const SITES: &str = r#"
[log_formats.facts]
template = "$server_protocol $scheme $host $request_method $request_uri $status $body_bytes_sent $http_x_mark $request_id"
[access_log]
path = "access.log"
format = "facts"
[limits.client]
key = "$http_x_key"
rate = "1/m"
[maps.mark]
from = "$http_x_mark"
default = "unknown"
values = { "~^m(?<number>[0-9]+)$" = "number $number" }
[[sites]]
names = ["example.com"]
root = "www"
error_pages = { 404 = "/missing.html" }
append_response_headers = { X-Request = "$request_id", X-Mapped = "$mark" }
compress = { min_length = "100", types = ["text/plain"] }
[[sites.routes]]
match = "/"
[[sites.routes]]
match = "/api/"
upstream = "%backend%"
replace_prefix = "/"
set_headers = { X-Proto = "$server_protocol", X-Scheme = "$scheme" }
remove_response_headers = ["X-Secret"]
rewrite_location = { "http://inside/" = "/api/" }
limits = { max_body = 10 }
[[sites.routes]]
match = "= /old"
respond = { status = 301, location = "/new?from=$uri" }
[[sites.routes]]
match = "/private"
upstream = "%backend%"
set_headers = { X-Proto = "$remote_user" }
auth_basic = { realm = "in", users = "pam:{PLAIN}plum" }
[[sites.routes]]
match = "/limited"
upstream = "%backend%"
limits = { rate = ["client"], rate_status = 429 }
[[sites.routes]]
match = "/cors"
upstream = "%backend%"
cors = { origins = ["https://app.example.com"], methods = ["PUT"], credentials = true }
[[sites.routes]]
match = "/walled"
upstream = "%backend%"
access = ["deny all"]
[[sites.routes]]
match = "/facts"
respond = { status = 200, body = "$server_protocol $scheme $host $request_method $http_cookie $args" }
"#;

fn start(down: Down, backend: &Backend) -> Running {
    down.proxy(SITES, |setup| {
        setup
            .var("backend", backend.address())
            .file("www/index.html", "<p>home</p>")
            .file("www/missing.html", "<p>not here</p>")
            .file("www/digits.txt", "0123456789")
            .file("www/long.txt", "long text ".repeat(1000))
            .file("www/sub/index.html", "<p>sub</p>")
    })
}

fn backend() -> Backend {
    Backend::http(|request| match request.head.target() {
        "/move" => Response::new(302).header("Location", "http://inside/x"),
        "/late" => Response::text("late").header("X-Secret", "s"),
        "/lost" => Response::new(404).body("the backend's own"),
        _ => {
            let of = |name: &str| request.head.get(name).unwrap_or_default().to_owned();
            let text = format!("{} {} {}", request.head.start, of("x-proto"), of("x-scheme"));
            Response::text(text).header("X-Secret", "s").header("Content-Type", "text/x-plain")
        }
    })
}

type Check = fn(&Running);

/// Every expectation, by name.
const TABLE: &[(&str, Check)] = &[
    ("files", files),
    ("ranges and conditions", ranges),
    ("compression", compression),
    ("error pages", error_pages),
    ("redirects", redirects),
    ("basic auth", basic_auth),
    ("rates", rates),
    ("CORS", cors),
    ("access lists", access_lists),
    ("headers, variables, maps", headers),
    ("upstreams", upstreams),
    ("body size", body_size),
    ("bad requests", bad_requests),
    ("long lines", long_lines),
    ("access log", access_log),
];

fn all(down: Down) {
    let backend = backend();
    let running = start(down, &backend);
    let passes = |check: &Check| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&running))).is_ok();
    let failed: Vec<&str> = TABLE.iter().filter(|(_, check)| !passes(check)).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "{down:?}: {failed:?}");
    drop(running);
    backend.join();
}

#[test]
fn h1() {
    all(Down::H1);
}

#[test]
fn h1_tls() {
    all(Down::H1Tls);
}

#[test]
fn h2() {
    all(Down::H2);
}

#[test]
fn h2_tls() {
    all(Down::H2Tls);
}

#[test]
fn h3() {
    all(Down::H3);
}

#[track_caller]
fn is(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body));
}

fn files(running: &Running) {
    let home = running.get("/");
    is(&home, 200, "<p>home</p>");
    assert_eq!((home.line("content-type"), home.line("content-length")), ("text/html", "11"));
    assert!(home.line("etag").starts_with('"') && home.line("last-modified").ends_with(" GMT"));
    assert_eq!(home.line("accept-ranges"), "bytes");
    is(&running.ask(&Ask::get("/digits.txt").method("HEAD")), 200, "");
    assert_eq!(running.get("/sub").status, 301);
    is(&running.get("/sub/"), 200, "<p>sub</p>");
    assert_eq!(running.get("/..%2f..%2fetc/passwd").status, 400);
    assert_eq!(running.ask(&Ask::post("/digits.txt", b"x".to_vec())).status, 405);
}

fn ranges(running: &Running) {
    let part = running.ask(&Ask::get("/digits.txt").line("range", "bytes=2-4"));
    is(&part, 206, "234");
    assert_eq!(part.line("content-range"), "bytes 2-4/10");
    is(&running.ask(&Ask::get("/digits.txt").line("range", "bytes=-3")), 206, "789");
    let many = running.ask(&Ask::get("/digits.txt").line("range", "bytes=0-0,9-9"));
    assert!(many.line("content-type").starts_with("multipart/byteranges; boundary="), "{many:?}");
    assert_eq!(running.ask(&Ask::get("/digits.txt").line("range", "bytes=10-")).status, 416);
    let etag = running.get("/digits.txt").line("etag").to_owned();
    is(&running.ask(&Ask::get("/digits.txt").line("if-none-match", &etag)), 304, "");
    assert_eq!(running.ask(&Ask::get("/digits.txt").line("if-match", "\"other\"")).status, 412);
}

fn compression(running: &Running) {
    let text = "long text ".repeat(1000);
    for coding in ["gzip", "br", "zstd"] {
        let answer = running.ask(&Ask::get("/long.txt").line("accept-encoding", coding));
        assert_eq!((answer.line("content-encoding"), answer.line("vary")), (coding, "Accept-Encoding"));
        assert!(!answer.lines.contains_key("content-length") && answer.body.len() < text.len() / 10);
        let mut back = String::new();
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut back).unwrap(),
            "br" => brotli::Decompressor::new(&*answer.body, 4096).read_to_string(&mut back).unwrap(),
            _ => zstd::Decoder::new(&*answer.body).unwrap().read_to_string(&mut back).unwrap(),
        };
        assert!(back == text, "{coding}");
    }
    let plain = running.get("/long.txt");
    assert_eq!((plain.line("content-encoding"), plain.line("content-length")), ("", "10000"));
}

fn error_pages(running: &Running) {
    let missing = running.get("/nothing");
    is(&missing, 404, "<p>not here</p>");
    assert_eq!(missing.line("content-type"), "text/html");
    is(&running.get("/api/lost"), 404, "the backend's own");
}

fn redirects(running: &Running) {
    let moved = running.get("/old");
    let scheme = running.down.scheme();
    let port = running.proxy.address().port();
    assert_eq!((moved.status, moved.line("location")), (301, &*format!("{scheme}://{HOST}:{port}/new?from=/old")));
    assert_eq!(running.get("/api/move").line("location"), format!("{scheme}://{HOST}:{port}/api/x"));
}

fn basic_auth(running: &Running) {
    let asked = running.get("/private");
    assert_eq!((asked.status, asked.line("www-authenticate")), (401, "Basic realm=\"in\", charset=\"UTF-8\""));
    let with = |who: &str| {
        let who = format!("Basic {}", STANDARD.encode(who));
        running.ask(&Ask::get("/private").line("authorization", &who))
    };
    is(&with("pam:plum"), 200, "GET /private HTTP/1.1 pam ");
    assert_eq!(with("pam:pear").status, 401);
}

fn rates(running: &Running) {
    let ask = |key: &str| running.ask(&Ask::get("/limited").line("x-key", key)).status;
    assert_eq!([ask("one"), ask("one"), ask("two")], [200, 429, 200]);
}

fn cors(running: &Running) {
    let from = |origin: &str, ask: Ask| running.ask(&ask.line("origin", origin));
    let shared = from("https://app.example.com", Ask::get("/cors"));
    assert_eq!(shared.line("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(shared.line("access-control-allow-credentials"), "true");
    assert_eq!(from("https://evil.example", Ask::get("/cors")).line("access-control-allow-origin"), "");
    let preflight = Ask::get("/cors").method("OPTIONS").line("access-control-request-method", "PUT");
    let answer = from("https://app.example.com", preflight);
    assert_eq!((answer.status, answer.line("access-control-allow-methods")), (204, "PUT"));
}

fn access_lists(running: &Running) {
    assert_eq!(running.get("/walled").status, 403);
}

fn headers(running: &Running) {
    let answer = running.ask(&Ask::get("/facts?a=b").line("cookie", "c=d").line("x-mark", "m12"));
    let facts = format!("{} {} {HOST} GET c=d a=b", running.down.protocol(), running.down.scheme());
    is(&answer, 200, &facts);
    assert_eq!((answer.line("x-mapped"), answer.line("server")), ("number 12", "tidegate"));
    assert_eq!(answer.line("x-request").len(), 32);
    assert_ne!(answer.line("x-request"), running.get("/facts").line("x-request"));
    for name in ["connection", "keep-alive", "transfer-encoding"] {
        assert!(!running.down.is_multiplexed() || !answer.lines.contains_key(name), "{name}");
    }
}

fn upstreams(running: &Running) {
    let answer = running.get("/api/a%20b//c?d");
    let (protocol, scheme) = (running.down.protocol(), running.down.scheme());
    is(&answer, 200, &format!("GET /a%20b/c?d HTTP/1.1 {protocol} {scheme}"));
    assert!(!answer.lines.contains_key("x-secret"));
}

fn body_size(running: &Running) {
    assert_eq!(running.ask(&Ask::post("/api/x", vec![b'x'; 10])).status, 200);
    assert_eq!(running.ask(&Ask::post("/api/x", vec![b'x'; 11])).status, 413);
}

fn bad_requests(running: &Running) {
    assert_eq!(running.get("/%zz").status, 400);
    assert_eq!(running.get("/../x").status, 400);
}

/// `server.max_line` is 8 KiB. What fits passes, and what does not is refused, whoever would have answered.
fn long_lines(running: &Running) {
    let (fits, long) = ("x".repeat(8000), "x".repeat(10_000));
    let url = |fill: &str| format!("/api/{fill}");
    assert_eq!(running.get(&url(&fits)).status, 200);
    assert_eq!(running.get(&url(&long)).status, 414);
    let refused = running.ask(&Ask::get(&url(&long)).method("HEAD"));
    assert_eq!((refused.status, refused.body.len()), (414, 0));
    let with = |value: &str| running.ask(&Ask::get("/api/x").line("x-long", value)).status;
    assert_eq!((with(&fits), with(&long)), (200, 431));
    let lines = |count: usize| (0..count).fold(Ask::get("/api/x"), |ask, at| ask.line(&format!("x-{at}"), "y"));
    // `Host` is one of the 256.
    assert_eq!((running.ask(&lines(255)).status, running.ask(&lines(256)).status), (200, 431));
}

/// One line for each request, whatever carried it.
fn access_log(running: &Running) {
    let answer = running.ask(&Ask::get("/digits.txt?last").line("x-mark", "m7"));
    let id = answer.line("x-request");
    let line =
        format!("{} {} {HOST} GET /digits.txt?last 200 10 m7 {id}", running.down.protocol(), running.down.scheme());
    wait_for("the line of the last request", || running.proxy.read_file("access.log").contains(&line).then_some(()));
}
