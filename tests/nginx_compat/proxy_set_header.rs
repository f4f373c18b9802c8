//! "Essential Headers" of the guides: the first four are Tidegate's defaults, the optional
//! ones are set by the same variables.

use tidegate_tests::{Backend, Subject, both, ws};

both!(essential_headers);

fn essential_headers(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"
            server {
                listen %listen%;
                server_name ws.example.com;
                location /ws {
                    proxy_pass http://%backend%;
                    proxy_http_version 1.1;

                    # Required WebSocket headers
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection "upgrade";

                    # Preserve original request information
                    proxy_set_header Host $host;
                    proxy_set_header X-Real-IP $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;

                    # Optional: Pass through custom headers
                    proxy_set_header X-Forwarded-Host $server_name;
                    proxy_set_header X-Forwarded-Port $server_port;
                }
            }
            "#,
        )
        .tidegate(
            r#"
            [[sites]]
            names = ["ws.example.com"]
            [[sites.routes]]
            match = "/ws"
            upstream = "http://%backend%"
            set_headers = { X-Forwarded-Host = "$server_name", X-Forwarded-Port = "$server_port" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send(ws::handshake(
        "/ws",
        "X-Forwarded-For: 203.0.113.7, 198.51.100.2\r\nX-Forwarded-Host: evil\r\nX-Own: kept\r\n",
    ));
    assert_eq!(client.read_head().status(), 101);
    let seen = backend.only_head();
    let port = proxy.address().port().to_string();
    let table = [
        ("host", "ws.example.com"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-for", "203.0.113.7, 198.51.100.2, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "ws.example.com"),
        ("x-forwarded-port", &port),
        ("x-own", "kept"),
        ("sec-websocket-key", ws::KEY),
        ("sec-websocket-version", "13"),
    ];
    for (name, wanted) in table {
        assert_eq!(seen.get(name), Some(wanted), "{name}");
    }
}
