//! `return 301 https://$host$request_uri`, by `respond` and by `redirect_https`.

use tidegate_tests::{Proxy, Subject, both};

both!(by_return, by_the_key);

const NGINX: &str = r"
server {
    listen %listen%;
    server_name example.com www.example.com;
    return 301 https://$host$request_uri;
}
";

fn by_return(subject: Subject) {
    let text = "[[sites]]\nnames = [\"example.com\", \"www.example.com\"]\n\
                respond = { status = 301, location = \"https://$host$request_uri\" }\n";
    sends_on(&subject.setup().nginx(NGINX).tidegate(text).start());
}

fn by_the_key(subject: Subject) {
    // What the site has besides is for clients with TLS.
    let text = r#"
        [[sites]]
        names = ["example.com", "www.example.com"]
        redirect_https = true
        rewrites = [{ match = "^/old/(.*)$", to = "/new/$1" }]
        [[sites.routes]]
        match = "/"
        upstream = "127.0.0.1:1"
        [[sites.routes]]
        match = "/api/"
        respond = { status = 200 }
        "#;
    sends_on(&subject.setup().nginx(NGINX).tidegate(text).start());
}

fn sends_on(proxy: &Proxy) {
    for (request, to) in [
        ("GET / HTTP/1.1\r\nHost: example.com", "https://example.com/"),
        ("GET /a%20b/../c?d=%2f&e HTTP/1.1\r\nHost: www.example.com", "https://www.example.com/a%20b/../c?d=%2f&e"),
        ("GET //x//y? HTTP/1.1\r\nHost: Example.COM:8080", "https://example.com//x//y?"),
        ("POST /old/form HTTP/1.1\r\nHost: other.test\r\nContent-Length: 0", "https://other.test/old/form"),
        ("DELETE /api HTTP/1.1\r\nHost: example.com", "https://example.com/api"),
        ("GET http://www.example.com/abs HTTP/1.1\r\nHost: example.com", "https://www.example.com/abs"),
        ("GET /ten HTTP/1.0", "https://example.com/ten"),
        ("GET /v6 HTTP/1.1\r\nHost: [::1]:80", "https://[::1]/v6"),
    ] {
        let (head, _) = proxy.ask(format!("{request}\r\n\r\n"));
        assert_eq!((head.status(), head.get("location")), (301, Some(to)), "{request}");
    }
    let mut wire = proxy.connect();
    wire.send(tidegate_tests::ws::handshake("/ws", ""));
    assert_eq!(wire.read_head().status(), 301, "a handshake is sent on as well");
}
