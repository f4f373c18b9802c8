//! The stock plugin `header-map`: what upstream and client see.

use tidegate_tests::ws;
use tidegate_tests::{Backend, Response, Subject, both, tidegate};

both!(
    request_headers_are_set_and_removed,
    variables_fill_in,
    maps_choose,
    response_headers_are_added_and_hidden,
    a_101_gets_response_headers_too,
);

fn request_headers_are_set_and_removed(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"location / {
                proxy_pass http://%backend%;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header Host backend.internal;
                proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header X-Fixed "a fixed value";
                proxy_set_header X-Theirs "";
                proxy_set_header X-Empty $http_not_there;
            }"#,
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            default_headers = false
            [sites.routes.set_headers]
            Host = "backend.internal"
            X-Real-IP = "$remote_addr"
            X-Fixed = "a fixed value"
            X-Theirs = ""
            X-Empty = "$http_not_there"
            "#,
        )
        .var("backend", backend.address())
        .start();
    proxy.ask(
        "GET / HTTP/1.1\r\nHost: ws.example.com\r\nX-Theirs: 1\r\nX-Fixed: theirs\r\nX-Fixed: twice\r\nX-Empty: e\r\n\
         X-Other: kept\r\n\r\n",
    );
    let seen = backend.only_head();
    assert_eq!(seen.get("host"), Some("backend.internal"));
    assert_eq!(seen.get("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-fixed"), Some("a fixed value"));
    assert_eq!(seen.get("x-theirs"), None);
    assert_eq!(seen.get("x-empty"), None);
    assert_eq!(seen.get("x-other"), Some("kept"));
    assert_eq!(seen.get("x-forwarded-for"), None);
}

fn variables_fill_in(subject: Subject) {
    let backend = Backend::named("ok");
    let names = [
        "host",
        "http_host",
        "scheme",
        "server_name",
        "request_uri",
        "uri",
        "args",
        "query_string",
        "is_args",
        "arg_room",
        "cookie_session",
        "http_user_agent",
        "request_method",
        "remote_addr",
        "server_protocol",
        "server_addr",
    ];
    let nginx: String =
        names.iter().map(|n| format!("proxy_set_header X-{} \"<${n}>\";\n", n.replace('_', "-"))).collect();
    let toml: String = names.iter().map(|n| format!("X-{} = \"<${{{n}}}>\"\n", n.replace('_', "-"))).collect();
    let proxy = subject
        .setup()
        .nginx(&format!(
            "server {{ listen %listen%; server_name ws.example.com;
               location / {{ proxy_pass http://%backend%; proxy_set_header X-Ports \"$server_port $remote_port\";\n{nginx} }} }}"
        ))
        .tidegate(&format!(
            "[[sites]]\nnames = [\"ws.example.com\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
             [sites.routes.set_headers]\nX-Ports = \"$server_port $remote_port\"\n{toml}"
        ))
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send(
        "GET /a%20b/../c?room=blue&x=1 HTTP/1.1\r\nHost: WS.example.com:8080\r\nUser-Agent: a test\r\n\
         Cookie: a=b; session=42\r\n\r\n",
    );
    client.read_response();
    let seen = backend.only_head();
    let table = [
        ("x-host", "<ws.example.com>"),
        ("x-http-host", "<WS.example.com:8080>"),
        ("x-scheme", "<http>"),
        ("x-server-name", "<ws.example.com>"),
        ("x-request-uri", "</a%20b/../c?room=blue&x=1>"),
        ("x-uri", "</c>"),
        ("x-args", "<room=blue&x=1>"),
        ("x-query-string", "<room=blue&x=1>"),
        ("x-is-args", "<?>"),
        ("x-arg-room", "<blue>"),
        ("x-cookie-session", "<42>"),
        ("x-http-user-agent", "<a test>"),
        ("x-request-method", "<GET>"),
        ("x-remote-addr", "<127.0.0.1>"),
        ("x-server-protocol", "<HTTP/1.1>"),
        ("x-server-addr", "<127.0.0.1>"),
    ];
    for (name, wanted) in table {
        assert_eq!(seen.get(name), Some(wanted), "{name}");
    }
    let ports = format!("{} {}", proxy.address().port(), client.local().port());
    assert_eq!(seen.get("x-ports"), Some(ports.as_str()));
}

fn maps_choose(subject: Subject) {
    let backend = Backend::named("ok");
    let proxy = subject
        .setup()
        .nginx(
            r#"map $http_x_kind $kind { default other; "" none; exact "the exact one"; ~^re[0-9]+$ "by regex"; ~*^loud "without case"; }
               server { listen %listen%; location / { proxy_pass http://%backend%; proxy_set_header X-Chosen "$kind"; } }"#,
        )
        .tidegate(
            r#"
            [maps.kind]
            from = "$http_x_kind"
            default = "other"
            values = { "" = "none", exact = "the exact one", "~^re[0-9]+$" = "by regex", "~*^loud" = "without case" }
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            set_headers = { X-Chosen = "$kind" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let table = [
        ("", "none"),
        ("X-Kind: exact\r\n", "the exact one"),
        ("X-Kind: EXACT\r\n", "the exact one"),
        ("X-Kind: re42\r\n", "by regex"),
        ("X-Kind: RE42\r\n", "other"),
        ("X-Kind: LOUDer\r\n", "without case"),
        ("X-Kind: something\r\n", "other"),
    ];
    for (line, wanted) in table {
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
        assert_eq!(backend.heads().last().unwrap().get("x-chosen"), Some(wanted), "{line}");
    }
}

fn response_headers_are_added_and_hidden(subject: Subject) {
    let backend = Backend::http(|request| {
        let response =
            if request.head.target() == "/404" { Response::new(404).body("no") } else { Response::text("ok") };
        response.header("X-Powered-By", "secrets").header("X-Kept", "1")
    });
    let proxy = subject
        .setup()
        .nginx(
            r#"add_header X-Frame-Options DENY always;
               add_header X-Asked "$request_uri" always;
               location / { proxy_pass http://%backend%; proxy_hide_header X-Powered-By; }"#,
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            append_response_headers = { X-Frame-Options = "DENY", X-Asked = "$request_uri" }
            remove_response_headers = ["X-Powered-By"]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (path, status) in [("/", 200), ("/404", 404)] {
        let (head, _) = proxy.get(path);
        assert_eq!(head.status(), status);
        assert_eq!(head.get("x-frame-options"), Some("DENY"));
        assert_eq!(head.get("x-asked"), Some(path));
        assert_eq!(head.get("x-powered-by"), None);
        assert_eq!(head.get("x-kept"), Some("1"));
    }
}

fn a_101_gets_response_headers_too(subject: Subject) {
    let backend = Backend::ws_echo_with("X-Powered-By: secrets\r\n");
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%backend%; %guide% proxy_hide_header X-Powered-By; add_header X-Way \"through\" always; }",
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%backend%"
            append_response_headers = { X-Way = "through" }
            remove_response_headers = ["X-Powered-By"]
            "#,
        )
        .var("backend", backend.address())
        .start();
    let head = proxy.connect().upgrade("/ws");
    assert_eq!(head.get("x-way"), Some("through"));
    assert_eq!(head.get("x-powered-by"), None);
}

#[test]
fn set_append_and_remove() {
    let backend = Backend::http(|_| Response::text("ok").header("X-Set", "theirs").header("X-More", "theirs"));
    let proxy = tidegate(
        r#"
        [[sites]]
        set_headers = { X-Site = "from the site", X-Both = "from the site" }
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        set_headers = { X-Both = "from the route", X-Real-IP = "replaced" }
        append_headers = { X-Trace = "ours", Cookie = "x=y" }
        remove_headers = ["X-Debug"]
        set_response_headers = { X-Set = "ours" }
        append_response_headers = { X-More = "ours" }
        "#,
    )
    .var("backend", backend.address())
    .start();
    let (head, _) = proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nX-Trace: theirs\r\nX-Debug: 1\r\nx-debug: 2\r\n\r\n");
    let seen = backend.only_head();
    assert_eq!(seen.get("x-site"), Some("from the site"));
    assert_eq!(seen.get("x-both"), Some("from the route"));
    assert_eq!(seen.get("x-real-ip"), Some("replaced"));
    assert_eq!(seen.all("x-trace"), ["theirs", "ours"]);
    assert_eq!(seen.get("cookie"), Some("x=y"));
    assert_eq!(seen.get("x-debug"), None);
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-set"), Some("ours"));
    assert_eq!(head.all("x-more"), ["theirs", "ours"]);
}

#[test]
fn no_defaults_where_switched_off() {
    let backend = Backend::ws_echo();
    let proxy =
        tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\ndefault_headers = false")
            .var("backend", backend.address())
            .start();
    proxy.ask(ws::handshake("/ws", ""));
    let seen = backend.only_head();
    for name in ["x-real-ip", "x-forwarded-for", "x-forwarded-proto"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
    assert_eq!(seen.all("host").len(), 1);
}
