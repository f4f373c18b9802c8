//! `auth_basic` and `auth_basic_user_file` before a tunnel, and who came in.

use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Subject, both};

both!(users_of_each_hash);

fn users_of_each_hash(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"auth_basic "WebSocket area";
               auth_basic_user_file %dir%/htpasswd;
               location /ws { proxy_pass http://%backend%; %guide% proxy_set_header X-User $remote_user; }"#,
        )
        .tidegate(
            r#"
            [[sites]]
            auth_basic = { realm = "WebSocket area", users = { from_file = "htpasswd" } }
            [[sites.routes]]
            match = "/ws"
            upstream = "%backend%"
            set_headers = { X-User = "$remote_user" }
            "#,
        )
        .file(
            "htpasswd",
            "ann:$2y$04$uaMz8k2iWfGUh6nk7cyIyOj00crZeXZmtmZ2FURhxaT9xMPl/iucO\n\
             leo:{SHA}3917zirZ+J1yBN2DFh1m0eUhdZw=\nora:$apr1$abcdefgh$FdzXT4cypfmXDPBdVLQ320\n\
             pam:{PLAIN}plum:a comment\n",
        )
        .var("backend", backend.address())
        .start();
    // user:password of ann (apple), leo (lemon), ora (orange), pam (plum).
    for (user, credentials) in
        [("ann", "YW5uOmFwcGxl"), ("leo", "bGVvOmxlbW9u"), ("ora", "b3JhOm9yYW5nZQ=="), ("pam", "cGFtOnBsdW0=")]
    {
        let mut client = proxy.connect();
        client.send(ws::handshake("/ws", &format!("Authorization: Basic {credentials}\r\n")));
        assert_eq!(client.read_head().status(), 101, "{user}");
        client.echo(&Frame::text(user));
        assert_eq!(backend.heads().last().unwrap().get("x-user"), Some(user));
    }
    // ann:lemon, and nobody.
    for line in ["Authorization: Basic YW5uOmxlbW9u\r\n", ""] {
        let (head, _) = proxy.ask(ws::handshake("/ws", line));
        assert_eq!(head.status(), 401);
        assert!(head.get("www-authenticate").unwrap().starts_with("Basic realm=\"WebSocket area\""));
    }
    assert_eq!(backend.connections(), 4);
}
