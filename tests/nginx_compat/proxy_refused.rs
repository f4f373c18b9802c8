//! A handshake that the backend refuses: "the proxy worked but the application rejected
//! the handshake".

use tidegate_tests::{Backend, Response, Subject, both, ws};

both!(refusals_pass);

fn refusals_pass(subject: Subject) {
    let backend = Backend::http(|request| match request.head.target() {
        "/400" => Response::new(400).body("bad handshake"),
        "/401" => Response::new(401).header("WWW-Authenticate", "Basic realm=\"app\"").body("who are you?"),
        "/403" => Response::new(403).header("Set-Cookie", "a=b").header("Set-Cookie", "c=d").body("not you"),
        "/426" => Response::new(426).header("Sec-WebSocket-Version", "13, 8").body("not so"),
        "/500" => Response::new(500).chunked(&["it ", "broke"], ""),
        _ => Response::new(200).body("a page"),
    });
    let proxy = subject.before(backend.address());
    let table = [
        ("/400", 400, "bad handshake"),
        ("/401", 401, "who are you?"),
        ("/403", 403, "not you"),
        ("/426", 426, "not so"),
        ("/500", 500, "it broke"),
        ("/200", 200, "a page"),
    ];
    for (path, status, text) in table {
        let (head, body) = proxy.ask(ws::handshake(path, ""));
        assert_eq!((head.status(), body.text().as_str()), (status, text), "{path}");
        match path {
            "/401" => assert_eq!(head.get("www-authenticate"), Some("Basic realm=\"app\"")),
            "/403" => assert_eq!(head.all("set-cookie"), ["a=b", "c=d"]),
            "/426" => assert_eq!(head.get("sec-websocket-version"), Some("13, 8")),
            _ => {}
        }
    }
}
