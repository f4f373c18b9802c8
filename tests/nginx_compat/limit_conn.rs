//! `limit_conn_zone`, `limit_conn` and its like: requests and tunnels that are open at once.

use std::sync::mpsc;

use parking_lot::Mutex;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Response, Subject, both, eventually};

both!(
    a_tunnel_holds_its_place_to_its_end,
    a_request_holds_its_place,
    several_zones_and_status,
    dry_run,
    the_guides_limits
);

const ZONES: &str = "limit_conn_zone $remote_addr zone=client:1m; limit_conn_zone $arg_k zone=key:1m;";
const TIDEGATE_ZONES: &str = "[limits.client]\nkey = \"$remote_addr\"\nsize = \"1m\"\n[limits.key]\nkey = \"$arg_k\"\n";

fn limited(subject: Subject, backend: &Backend, nginx: &str, limits: &str) -> Proxy {
    let nginx = format!(
        "{ZONES} server {{ listen %listen%; {nginx}
            location / {{ proxy_pass http://%backend%; %guide% proxy_set_header X-Limit $limit_conn_status; }} }}"
    );
    let tidegate = format!(
        "{TIDEGATE_ZONES}\n[[sites]]\nlimits = {limits}\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
         set_headers = {{ X-Limit = \"$limit_conn_status\" }}\n"
    );
    subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start()
}

fn shake(proxy: &Proxy, path: &str) -> u16 {
    proxy.ask(ws::handshake(path, "")).0.status()
}

fn a_tunnel_holds_its_place_to_its_end(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy =
        limited(subject, &backend, "limit_conn client 2;", "{ concurrent = [{ zone = \"client\", total = 2 }] }");
    let mut first = proxy.open("/ws");
    let mut second = proxy.open("/ws");
    first.echo(&Frame::text("one"));
    second.echo(&Frame::text("two"));
    assert_eq!([shake(&proxy, "/ws"), proxy.get("/").0.status()], [503, 503]);
    // What was refused has taken nobody's place.
    second.echo(&Frame::text("still here"));
    assert_eq!(shake(&proxy, "/ws"), 503);
    drop(first);
    eventually("a place to be free", || shake(&proxy, "/ws") == 101);
    second.echo(&Frame::text("and still"));
    assert_eq!(backend.heads()[0].get("x-limit"), Some("PASSED"));
}

fn a_request_holds_its_place(subject: Subject) {
    let (go, wait) = mpsc::channel::<()>();
    let (arrived, arrival) = mpsc::channel::<()>();
    let (wait, arrived) = (Mutex::new(wait), Mutex::new(arrived));
    let backend = Backend::http(move |request| {
        if request.head.start.contains("/slow") {
            arrived.lock().send(()).unwrap();
            wait.lock().recv().unwrap();
        }
        Response::text("done")
    });
    let proxy = limited(subject, &backend, "limit_conn key 1;", "{ concurrent = [{ zone = \"key\", total = 1 }] }");
    let mut slow = proxy.connect();
    slow.send("GET /slow?k=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    arrival.recv().unwrap();
    let statuses = ["/?k=1", "/?k=2", "/"].map(|path| proxy.get(path).0.status());
    assert_eq!(statuses, [503, 200, 200]);
    go.send(()).unwrap();
    assert_eq!(slow.read_response().0.status(), 200);
    // An idle connection holds no place.
    eventually("the place to be free", || proxy.get("/?k=1").0.status() == 200);
}

fn several_zones_and_status(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = limited(
        subject,
        &backend,
        "limit_conn client 3; limit_conn key 1; limit_conn_status 429;",
        "{ concurrent = [{ zone = \"client\", total = 3 }, { zone = \"key\", total = 1 }], concurrent_status = 429 }",
    );
    let _held = [proxy.open("/?k=1"), proxy.open("/?k=2")];
    for _ in 0..5 {
        assert_eq!(shake(&proxy, "/?k=1"), 429, "its key has its one");
    }
    // Those left no trace in the first zone: there is room for a third.
    let _third = proxy.open("/");
    assert_eq!([shake(&proxy, "/"), shake(&proxy, "/?k=3")], [429, 429]);
}

fn dry_run(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = limited(
        subject,
        &backend,
        "limit_conn client 1; limit_conn_dry_run on;",
        "{ concurrent = [{ zone = \"client\", total = 1 }], concurrent_dry_run = true }",
    );
    let mut first = proxy.open("/ws");
    let mut second = proxy.open("/ws");
    second.echo(&Frame::text("passes all the same"));
    first.echo(&Frame::text("as does this"));
    let told: Vec<_> = backend.heads().iter().map(|head| head.get("x-limit").unwrap_or_default().to_owned()).collect();
    assert_eq!(told, ["PASSED", "REJECTED_DRY_RUN"]);
}

/// "Rate Limiting WebSocket Connections" of the guides.
fn the_guides_limits(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = subject
        .setup()
        .nginx(
            r#"
            limit_req_zone $binary_remote_addr zone=ws_limit:10m rate=10r/s;
            limit_conn_zone $binary_remote_addr zone=ws_conn:10m;
            server {
                listen %listen%;
                location /ws {
                    # Allow 10 new connections per second with burst of 20
                    limit_req zone=ws_limit burst=20 nodelay;
                    limit_conn ws_conn 5;  # Max 5 concurrent connections per IP

                    # Return 429 (Too Many Requests) instead of 503
                    limit_req_status 429;
                    limit_conn_status 429;

                    proxy_pass http://%backend%; %guide%
                }
            }
            "#,
        )
        .tidegate(
            r#"
            [limits.ws]
            key = "$remote_addr"
            rate = "10/s"
            size = "10m"

            [[sites]]
            [[sites.routes]]
            match = "/ws"
            upstream = "%backend%"

            [sites.routes.limits]
            rate = [{ zone = "ws", burst = 20, nodelay = true }]
            rate_status = 429
            concurrent = [{ zone = "ws", total = 5 }]
            concurrent_status = 429
            "#,
        )
        .var("backend", backend.address())
        .start();
    let mut tunnels: Vec<_> = (0..5).map(|_| proxy.open("/ws")).collect();
    assert_eq!(shake(&proxy, "/ws"), 429);
    for tunnel in &mut tunnels {
        tunnel.echo(&Frame::text("open"));
    }
    drop(tunnels.pop());
    eventually("a place to be free", || shake(&proxy, "/ws") == 101);
}
