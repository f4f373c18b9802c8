//! WebSockets through the guides' configurations.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Subject, both};

both!(quick_start, the_upgrade_map, buffers_and_long_timeouts, plain_requests_beside);

/// "Quick Start: Basic WebSocket Proxy".
fn quick_start(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"
            upstream websocket_backend {
                server %backend%;
            }
            server {
                listen %listen%;
                server_name ws.example.com;

                location /ws {
                    proxy_pass http://websocket_backend;
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection "upgrade";
                    proxy_set_header Host $host;
                    proxy_set_header X-Real-IP $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                }
            }
            "#,
        )
        .tidegate(
            r#"
            [upstreams.websocket_backend]
            peers = ["%backend%"]

            [[sites]]
            names = ["ws.example.com"]

            [[sites.routes]]
            match = "/ws"
            upstream = "websocket_backend"
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.open("/ws");
    converse(&mut client);
    let seen = backend.only_head();
    assert_eq!(seen.get("host"), Some("ws.example.com"));
    assert_eq!(seen.get("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(proxy.get("/elsewhere").0.status(), 404);
}

/// As nginx's own `proxy_websocket.t`: messages, a burst, a large one, an orderly end.
fn converse(client: &mut tidegate_tests::Wire) {
    client.echo(&Frame::text("hello"));
    for i in 0..10 {
        client.send(Frame::text(&format!("pipelined {i}")).masked());
    }
    for i in 0..10 {
        client.expect(Frame::text(&format!("pipelined {i}")).bytes());
    }
    client.echo(&Frame::text(&"0123456789".repeat(10_000)));
    client.echo(&Frame::close(1000));
    client.expect_close();
}

fn mapped(subject: Subject, backend: &Backend) -> Proxy {
    subject
        .setup()
        .nginx(
            r#"
            map $http_upgrade $connection_upgrade {
                default upgrade;
                ''      close;
            }
            server {
                listen %listen%;
                location /ws {
                    proxy_pass http://%backend%;
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade;
                    proxy_set_header Host $host;
                }
            }
            "#,
        )
        .tidegate("[[sites]]\n[[sites.routes]]\nmatch = \"/ws\"\nupstream = \"http://%backend%\"")
        .var("backend", backend.address())
        .start()
}

/// "Connection Upgrade Map".
fn the_upgrade_map(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = mapped(subject, &backend);
    converse(&mut proxy.open("/ws/chat"));
    let seen = backend.only_head();
    assert!(seen.get("upgrade").unwrap().eq_ignore_ascii_case("websocket"));
    assert!(seen.get("connection").unwrap().eq_ignore_ascii_case("upgrade"));
}

fn plain_requests_beside(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = mapped(subject, &backend);
    let mut tunnel = proxy.open("/ws");
    let (head, body) = proxy.get("/ws");
    assert_eq!((head.status(), body.text().as_str()), (200, "plain"));
    assert_eq!(backend.heads()[1].get("upgrade"), None);
    tunnel.echo(&Frame::text("still here"));
}

/// "Timeout Configuration" and "Buffering and Performance".
fn buffers_and_long_timeouts(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"
            location /ws {
                proxy_pass http://%backend%;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection "upgrade";
                proxy_connect_timeout 7d;
                proxy_send_timeout 7d;
                proxy_read_timeout 7d;
                proxy_buffering off;
                proxy_buffer_size 4k;
                proxy_buffers 8 4k;
                proxy_busy_buffers_size 8k;
                proxy_request_buffering off;
                client_max_body_size 10m;
            }
            "#,
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/ws"
            upstream = "http://%backend%"
            timeouts = { connect = "7d", read = "7d", send = "7d" }
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", "Origin: http://ws.example.com\r\n"));
    assert_eq!(client.read_head().status(), 101);
    converse(&mut client);
}
