//! `auth_request`: what is asked, and what the answers mean.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Response, Subject, both};

both!(statuses, question, variables, inheritance, satisfy_all, satisfy_any, handshakes);

/// Answers with the status that the client's X-Want says, or 200.
fn authority() -> Backend {
    Backend::http(|request| {
        let status = request.head.get("x-want").map_or(200, |status| status.parse().unwrap());
        Response::new(status)
            .header("WWW-Authenticate", "Bearer realm=\"x\"")
            .header("Location", "/login")
            .header("X-User", "ann")
            .body("told")
    })
}

const ASK: &str = "location = /auth { internal; proxy_pass http://%auth%/verify?x=1; proxy_pass_request_body off;
    proxy_set_header Content-Length \"\"; proxy_set_header Host $host;
    proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Original-Method $request_method; }";

/// The keys of a route that asks.
const KEY: &str = "auth_request = { upstream = \"%auth%\", path = \"/verify?x=1\" }";

struct Guarded {
    proxy: Proxy,
    backend: Backend,
    auth: Backend,
}

/// The configurations of one place that is guarded, with more lines for it.
fn place(nginx: &str, tidegate: &str) -> (String, String) {
    (
        format!("{ASK} location / {{ auth_request /auth; proxy_pass http://%backend%; %guide% {nginx} }}"),
        format!("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n{tidegate}\n"),
    )
}

fn guarded(subject: Subject, nginx: &str, tidegate: &str) -> Guarded {
    let (nginx, tidegate) = place(nginx, &format!("{KEY}\n{tidegate}"));
    serve(subject, &nginx, &tidegate)
}

fn serve(subject: Subject, nginx: &str, tidegate: &str) -> Guarded {
    serve_before(Backend::ws_echo(), subject, nginx, tidegate)
}

fn serve_before(backend: Backend, subject: Subject, nginx: &str, tidegate: &str) -> Guarded {
    let auth = authority();
    let proxy = subject
        .setup()
        .nginx(&nginx.replace("%auth%", &auth.address().to_string()))
        .tidegate(&tidegate.replace("%auth%", &auth.address().to_string()))
        .file("htpasswd", "pam:{PLAIN}plum\n")
        .var("backend", backend.address())
        .start();
    Guarded { proxy, backend, auth }
}

fn ask(proxy: &Proxy, path: &str, lines: &str) -> (u16, Option<String>) {
    let (head, _) = proxy.ask(format!("GET {path} HTTP/1.1\r\nHost: ws.example.com\r\n{lines}\r\n"));
    (head.status(), head.get("www-authenticate").map(str::to_owned))
}

/// Redirects are no answer either: 500.
fn statuses(subject: Subject) {
    let Guarded { proxy, backend, auth } = guarded(subject, "", "");
    let challenge = Some("Bearer realm=\"x\"".to_owned());
    for (want, wanted) in [
        (200, (200, None)),
        (201, (200, None)),
        (204, (200, None)),
        (401, (401, challenge)),
        (403, (403, None)),
        (301, (500, None)),
        (302, (500, None)),
        (304, (500, None)),
        (400, (500, None)),
        (402, (500, None)),
        (404, (500, None)),
        (500, (500, None)),
        (503, (500, None)),
    ] {
        let asked = backend.heads().len();
        let found = ask(&proxy, "/", &format!("X-Want: {want}\r\n"));
        assert_eq!(found, wanted, "{want}");
        assert_eq!(backend.heads().len() - asked, usize::from(wanted.0 == 200), "{want}: the backend");
    }
    assert_eq!(auth.heads().len(), 13);
}

/// A GET without a body, whatever the request is; the request's own goes where it should.
fn question(subject: Subject) {
    let (nginx, tidegate) = place("", KEY);
    let Guarded { proxy, backend, auth } = serve_before(Backend::named("ok"), subject, &nginx, &tidegate);
    let (head, _) = proxy.ask(
        "POST /a%20b?c=d HTTP/1.1\r\nHost: ws.example.com\r\nCookie: a=1\r\nX-Two: 1\r\nX-Two: 2\r\n\
         Content-Type: text/x\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(head.status(), 200);
    let asked = auth.only_head();
    assert!(asked.start.starts_with("GET /verify?x=1 HTTP/1."), "{}", asked.start);
    for (name, wanted) in [
        ("host", Some("ws.example.com")),
        ("cookie", Some("a=1")),
        ("content-type", Some("text/x")),
        ("content-length", None),
        ("transfer-encoding", None),
        ("x-original-uri", Some("/a%20b?c=d")),
        ("x-original-method", Some("POST")),
    ] {
        assert_eq!(asked.get(name), wanted, "{name}");
    }
    let two = asked.all("x-two");
    assert_eq!(two, ["1", "2"]);
    let seen = backend.only_head();
    assert_eq!((seen.start.as_str(), seen.get("content-length")), ("POST /a%20b?c=d HTTP/1.1", Some("5")));
}

/// What the answer says reaches the backend; what the client says in its name does not.
fn variables(subject: Subject) {
    let (nginx, tidegate) = place(
        "auth_request_set $auth_user $upstream_http_x_user; auth_request_set $none $upstream_http_x_none;
         proxy_set_header X-User $auth_user; proxy_set_header X-None $none;",
        "set_headers = { X-User = \"$auth_user\", X-None = \"$none\" }\n\
         [sites.routes.auth_request]\nupstream = \"%auth%\"\npath = \"/verify\"\n\
         variables = { auth_user = \"X-User\", none = \"X-None\" }",
    );
    let Guarded { proxy, backend, auth: _auth } = serve(subject, &nginx, &tidegate);
    assert_eq!(ask(&proxy, "/", "X-User: forged\r\nX-None: forged\r\n").0, 200);
    let seen = backend.only_head();
    assert_eq!((seen.get("x-user"), seen.get("x-none")), (Some("ann"), None));
}

fn inheritance(subject: Subject) {
    let Guarded { proxy, backend: _backend, auth: _auth } = serve(
        subject,
        &format!(
            "auth_request /auth; {ASK} location / {{ proxy_pass http://%backend%; }}
             location /off {{ auth_request off; proxy_pass http://%backend%; }}"
        ),
        &format!(
            "[[sites]]\nupstream = \"%backend%\"\n{KEY}\n[[sites.routes]]\nmatch = \"/\"\n\
             [[sites.routes]]\nmatch = \"/off\"\nauth_request = false\n"
        ),
    );
    let refused = "X-Want: 403\r\n";
    assert_eq!([ask(&proxy, "/", refused).0, ask(&proxy, "/off", refused).0], [403, 200]);
}

const PAM: &str = "Authorization: Basic cGFtOnBsdW0=\r\n";

fn with_both(subject: Subject, nginx: &str, tidegate: &str) -> Guarded {
    guarded(
        subject,
        &format!("auth_basic \"in\"; auth_basic_user_file %dir%/htpasswd; {nginx}"),
        &format!("auth_basic = {{ realm = \"in\", users = {{ from_file = \"htpasswd\" }} }}\n{tidegate}"),
    )
}

/// Statuses with the authority's 200, 401, 403 and 500, each with the right password and
/// without one.
fn with_password(subject: Subject, nginx: &str, tidegate: &str) -> [[u16; 2]; 4] {
    let Guarded { proxy, backend: _backend, auth: _auth } = with_both(subject, nginx, tidegate);
    let status = |lines: &str| proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).0.status();
    [200, 401, 403, 500].map(|want| [PAM, ""].map(|line| status(&format!("X-Want: {want}\r\n{line}"))))
}

fn satisfy_all(subject: Subject) {
    let wanted = [[200, 401], [401, 401], [403, 401], [500, 401]];
    assert_eq!(with_password(subject, "", ""), wanted, "the default");
    assert_eq!(with_password(subject, "satisfy all;", "satisfy = \"all\""), wanted);
}

fn satisfy_any(subject: Subject) {
    let found = with_password(subject, "satisfy any;", "satisfy = \"any\"");
    // With neither: the last refusal, but for a 401, which stays.
    assert_eq!(found, [[200, 200], [200, 401], [200, 401], [200, 500]]);
    let Guarded { proxy, backend: _backend, auth: _auth } = with_both(subject, "satisfy any;", "satisfy = \"any\"");
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-Want: 401\r\n\r\n");
    let challenges = head.all("www-authenticate");
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    assert!(challenges[0].starts_with("Basic realm=\"in\"") && challenges[1] == "Bearer realm=\"x\"", "{challenges:?}");
}

fn handshakes(subject: Subject) {
    let Guarded { proxy, backend, auth } = guarded(subject, "", "");
    let mut tunnel = proxy.open("/ws?room=1");
    tunnel.echo(&Frame::text("in"));
    let asked = auth.only_head();
    assert_eq!((asked.get("upgrade"), asked.get("x-original-uri")), (None, Some("/ws?room=1")));
    assert_eq!(asked.get("sec-websocket-version"), Some("13"));
    for status in [401, 403] {
        assert_eq!(proxy.ask(ws::handshake("/ws", &format!("X-Want: {status}\r\n"))).0.status(), status);
    }
    assert_eq!(backend.connections(), 1);
    tunnel.echo(&Frame::text("still in"));
}
