//! Connections of QUIC: how clients learn of them, prove their address, change it; what a reload
//! and a drain leave of them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use quinn::ConnectionError;
use tidegate::http3::{frame, varint};
use tidegate_tests::http3::{Client, Frames, code, get, request, run};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Authority, Backend, TlsClient};

use crate::http3::{CONFIG, before, client, set_up};

#[test]
fn answers_over_tcp_tell_of_it() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let tls = TlsClient::new(&authority, "example.com");
    let line = |listener: &str| {
        let proxy = set_up(&authority, backend.address(), ["", listener, ""]).start();
        let mut wire = tls.connect(proxy.address());
        wire.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
        let (head, _) = wire.read_response();
        (head.get("alt-svc").map(str::to_owned), proxy.address().port())
    };
    let (told, port) = line("");
    assert_eq!(told.unwrap(), format!("h3=\":{port}\"; ma=86400"));
    assert_eq!(line("http3 = { alt_svc = \"off\" }").0, None);
    assert_eq!(line("http3 = { alt_svc = 'h3=\":443\"' }").0.as_deref(), Some("h3=\":443\""));
    // What the site says itself is left alone.
    let other = Backend::http(|_| tidegate_tests::Response::text("x").header("Alt-Svc", "clear"));
    let proxy = before(&authority, other.address(), "");
    let mut wire = tls.connect(proxy.address());
    wire.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(wire.read_response().0.all("alt-svc"), ["clear"]);
    other.join();
    backend.join();
}

/// Carries datagrams between clients and a server, and counts the Retry packets.
struct Relay {
    address: SocketAddr,
    retries: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn to(server: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = near.local_addr().unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(server).unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        }
        let (retries, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (retries, stop) = (Arc::clone(&retries), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (mut buffer, mut client) = (vec![0; 64 << 10], None);
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = near.recv_from(&mut buffer) {
                        client = Some(from);
                        far.send(&buffer[..length]).unwrap();
                    }
                    if let (Ok(length), Some(client)) = (far.recv(&mut buffer), client) {
                        // RFC 9000 §17.2.5: a long header of type 3.
                        if buffer[0] & 0xb0 == 0xb0 {
                            retries.fetch_add(1, Ordering::Relaxed);
                        }
                        near.send_to(&buffer[..length], client).unwrap();
                    }
                }
            })
        };
        Self { address, retries, stop, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn clients_prove_their_address() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let tls = TlsClient::new(&authority, "example.com");
    for (retry, wanted) in [("always", true), ("off", false), ("auto", false)] {
        let listener = format!("http3 = {{ retry = \"{retry}\" }}");
        let proxy = set_up(&authority, backend.address(), ["", &listener, ""]).start();
        let relay = Relay::to(proxy.address());
        run(async {
            let client = Client::connect(relay.address, &tls).await;
            assert_eq!(client.ask("GET", "/", b"").await.1, b"hello");
        });
        // A ClientHello of several packets is asked back for each.
        assert_eq!(relay.retries.load(Ordering::Relaxed) > 0, wanted, "{retry}");
    }
    backend.join();
}

#[test]
fn a_client_that_changes_its_address_keeps_its_tunnels() {
    let (authority, backend) = (Authority::new(), Backend::ws_echo());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        tunnel.echo(&Frame::text("here")).await;
        let before = client.endpoint.local_addr().unwrap();
        client.endpoint.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        assert_ne!(client.endpoint.local_addr().unwrap(), before);
        tunnel.echo(&Frame::binary(&vec![1; 100_000])).await;
        assert_eq!(client.ask("GET", "/", b"").await.1, b"plain");
    });
}

#[test]
fn a_reload_keeps_connections_and_serves_what_is_new() {
    let (authority, backend) = (Authority::new(), Backend::ws_echo());
    let setup = set_up(&authority, backend.address(), ["", "", ""]);
    let mut proxy = setup.in_process().start();
    let text = |facts: &str, listener: &str| {
        let text = CONFIG.replace("%upstream%", "").replace("%server%", "").replace("%listener%", listener);
        text.replace("$server_protocol $scheme", facts)
    };
    run(async {
        let old = client(&proxy, &authority).await;
        let (_, mut tunnel) = old.connect_websocket("/ws", &[]).await;
        proxy.reload(&text("new", "")).unwrap();
        tunnel.echo(&Frame::text("still here")).await;
        assert!(old.ask("GET", "/facts", b"").await.1.starts_with(b"new "));
        let fresh = client(&proxy, &authority).await;
        assert!(fresh.ask("GET", "/facts", b"").await.1.starts_with(b"new "));
        tunnel.echo(&Frame::text("and here")).await;
    });
}

/// Where the address is named, the endpoint goes on even where the listener is another one.
#[test]
fn an_endpoint_outlives_its_listener() {
    let (authority, backend) = (Authority::new(), Backend::ws_echo());
    let port = HeldPort::new();
    let text = |listener: &str| {
        let text = CONFIG.replace("%upstream%", "").replace("%server%", "").replace("%listener%", listener);
        text.replace("127.0.0.1:0", &port.address().to_string())
    };
    let mut proxy = set_up(&authority, backend.address(), ["", "", ""]).tidegate(&text("")).in_process().start();
    run(async {
        let old = client(&proxy, &authority).await;
        let (_, mut tunnel) = old.connect_websocket("/ws", &[]).await;
        proxy.reload(&text("backlog = 100\nhttp3 = { retry = \"always\" }")).unwrap();
        tunnel.echo(&Frame::text("still here")).await;
        let relay = Relay::to(proxy.address());
        let fresh = Client::connect(relay.address, &TlsClient::new(&authority, "example.com")).await;
        assert_eq!(fresh.ask("GET", "/", b"").await.1, b"plain");
        assert!(relay.retries.load(Ordering::Relaxed) > 0, "by the new terms");
    });
}

/// The numbers of the GOAWAYs up to the end of the connection.
async fn goaways(control: &mut Frames) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Ok(Some((kind, content))) = control.frame().await {
        if kind == frame::GOAWAY {
            numbers.push(varint::read(&content).unwrap().0);
        }
    }
    numbers
}

#[test]
fn a_drain_lets_streams_end_and_says_which() {
    let (authority, backend) = (Authority::new(), Backend::ws_echo());
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).in_process().start();
    run(async {
        let client = client(&proxy, &authority).await;
        let (_, mut tunnel) = client.connect_websocket("/ws", &[]).await;
        let mut control = client.control().await;
        tunnel.echo(&Frame::text("before")).await;
        let last = u64::from(quinn::VarInt::from(tunnel.send.id()));
        let draining = tokio::task::spawn_blocking(move || proxy.drain());
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let (kind, content) = control.frame().await.unwrap().unwrap();
            if kind == frame::GOAWAY {
                seen.push(varint::read(&content).unwrap().0);
            }
        }
        assert!(seen[0] > 1 << 61 && seen[1] > last && seen[1] <= last + 8, "{seen:?} after {last}");
        tunnel.echo(&Frame::text("meanwhile")).await;
        // What comes now was not begun: the client may ask elsewhere.
        let mut late = client.begin(&request("GET", "/")).await;
        assert_eq!(late.frame().await, Err(quinn::ReadError::Reset(code(0x10b))));
        tunnel.end();
        assert_eq!(tunnel.frame().await.unwrap(), None);
        assert_eq!(client.end().await, 0x100);
        draining.await.unwrap();
    });
}

#[test]
fn connections_end_when_they_are_idle_or_have_served_enough() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    for server in ["keepalive_timeout = \"50ms\"", "keepalive_requests = 3"] {
        let proxy = set_up(&authority, backend.address(), ["", "", server]).start();
        run(async {
            let client = client(&proxy, &authority).await;
            let mut control = client.control().await;
            for _ in 0..3 {
                assert_eq!(client.ask("GET", "/", b"").await.1, b"hello");
            }
            // The second one may be overtaken by the end itself.
            let told = goaways(&mut control).await;
            assert!(told.first().is_some_and(|from| *from > 1 << 61), "{server}: {told:?}");
            assert_eq!(client.end().await, 0x100);
        });
    }
    backend.join();
}

#[test]
fn one_client_has_so_many_connections() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let proxy = set_up(&authority, backend.address(), ["", "", "max_client_connections = 2"]).start();
    let tls = TlsClient::new(&authority, "example.com");
    run(async {
        let (first, _second) = (client(&proxy, &authority).await, client(&proxy, &authority).await);
        let refused = Client::try_connect(proxy.address(), &tls).await;
        assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{:?}", refused.err());
        first.quic.close(code(0x100), b"");
        drop(first);
        // The place is free once the server knows.
        loop {
            if let Ok(third) = Client::try_connect(proxy.address(), &tls).await {
                assert_eq!(third.ask("GET", "/", b"").await.1, b"hello");
                break;
            }
        }
    });
    backend.join();
}

/// The certificate, what is asked of clients, and who is refused, go by the name as over TCP.
#[test]
fn tls_is_that_of_the_name() {
    let (authority, clients) = (Authority::new(), Authority::named("clients"));
    let (open, closed) = (authority.issue(&["open.example"]), authority.issue(&["closed.example"]));
    let proxy = tidegate_tests::tidegate(
        r#"
[server]
workers = 1
cache_dir = "%cache%"
[[listeners]]
address = "127.0.0.1:0"
protocols = ["h1", "h3"]
tls = true
[[sites]]
names = ["open.example"]
tls = { certificate = "open.pem", key = "open.key" }
routes = [{ match = "/", respond = { status = 200, body = "open" } }]
[[sites]]
names = ["closed.example"]
tls = { certificate = "closed.pem", key = "closed.key" }
client_auth = { ca = "clients.pem" }
routes = [{ match = "/", respond = { status = 200, body = "$ssl_client_s_dn" } }]
[[sites]]
names = ["nobody.example"]
reject_handshake = true
routes = [{ match = "/", respond = { status = 200 } }]
"#,
    )
    .file("open.pem", open.certificate)
    .file("open.key", open.key)
    .file("closed.pem", closed.certificate)
    .file("closed.key", closed.key)
    .file("clients.pem", clients.certificate())
    .start();
    let known = clients.issue_client("somebody");
    let versions = [&rustls::version::TLS13];
    let ask = async |client: &Client, host: &str| {
        let lines = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/")];
        let mut stream = client.begin(&lines).await;
        stream.end();
        let head = stream.head().await;
        let status = get(&head, ":status").unwrap().to_owned();
        (status, String::from_utf8(stream.body().await).unwrap())
    };
    run(async {
        let open = Client::connect(proxy.address(), &TlsClient::new(&authority, "open.example")).await;
        assert_eq!(ask(&open, "open.example").await, ("200".to_owned(), "open".to_owned()));
        // RFC 9110 §15.5.20: nobody has asked this client for a certificate.
        assert_eq!(ask(&open, "closed.example").await.0, "421");
        let tls = TlsClient::with(&authority, "closed.example", &versions, Some(&known));
        let closed = Client::connect(proxy.address(), &tls).await;
        let (status, name) = ask(&closed, "closed.example").await;
        assert_eq!(status, "200");
        assert!(name.contains("CN=somebody"), "{name}");
        for tls in [TlsClient::new(&authority, "closed.example"), TlsClient::new(&authority, "nobody.example")] {
            let refused = match Client::try_connect(proxy.address(), &tls).await {
                Err(error) => error,
                // What a server refuses of a client's certificate comes after the handshake.
                Ok(client) => client.quic.closed().await,
            };
            assert!(matches!(refused, ConnectionError::ConnectionClosed(_)), "{refused}");
        }
    });
}

/// A session is resumed, and nothing is taken before the handshake is over.
#[test]
fn sessions_are_resumed_without_early_data() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let text = CONFIG.replace("$server_protocol", "$ssl_session_reused");
    let text = text.replace("%upstream%", "").replace("%listener%", "").replace("%server%", "");
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).tidegate(&text).start();
    let tls = TlsClient::new(&authority, "example.com").changed(|config| config.enable_early_data = true);
    run(async {
        let first = Client::connect(proxy.address(), &tls).await;
        assert!(first.ask("GET", "/facts", b"").await.1.starts_with(b". "));
        // Its tickets have come by now, and are for one use each.
        let second = Client::connect(proxy.address(), &tls).await;
        assert!(second.ask("GET", "/facts", b"").await.1.starts_with(b"r "));
        let mut config = tls.config();
        config.alpn_protocols = vec![b"h3".to_vec()];
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let early = first.endpoint.connect_with(config, proxy.address(), "example.com").unwrap().into_0rtt();
        assert!(early.is_err(), "no ticket allows it");
    });
    backend.join();
}

#[test]
fn what_does_not_go_with_it_is_said() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let refused = |from: &str, to: &str, listener: &str| {
        let text = CONFIG.replace(from, to).replace("%upstream%", "").replace("%server%", "");
        let text = text.replace("%listener%", listener);
        let started = set_up(&authority, backend.address(), ["", "", ""]).in_process().tidegate(&text).try_start();
        started.err().expect("a problem")
    };
    let tls = "tls = { certificate = \"server.pem\", key = \"server.key\" }";
    let said = refused(tls, "", "");
    assert!(said.contains("HTTP/3 needs TLS"), "{said}");
    let said = refused(tls, "tls = { certificate = \"server.pem\", key = \"server.key\", versions = [\"1.2\"] }", "");
    assert!(said.contains("HTTP/3 needs TLS 1.3"), "{said}");
    let said = refused("", "", "proxy_protocol = true");
    assert!(said.contains("HTTP/3 does not go with `proxy_protocol`"), "{said}");
    let said = refused("\"h3\"", "", "http3 = { retry = \"off\" }");
    assert!(said.contains("does not speak HTTP/3"), "{said}");
    let said = refused("", "", "http3 = { host_key = \"absent.key\", alt_svc = \"a\\nb\" }");
    assert!(said.contains("absent.key cannot be read") && said.contains("no line ends"), "{said}");
    backend.join();
}

/// Where only HTTP/3 is spoken there is no TCP.
#[test]
fn a_listener_for_it_alone() {
    let (authority, backend) = (Authority::new(), Backend::named("hello"));
    let text = CONFIG.replace(r#"["h1", "h2", "h3"]"#, r#"["h3"]"#);
    let text = text.replace("%upstream%", "").replace("%listener%", "").replace("%server%", "");
    // Nobody else listens there.
    let port = HeldPort::new();
    let text = text.replace("127.0.0.1:0", &port.address().to_string());
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).tidegate(&text).start();
    assert!(std::net::TcpStream::connect(proxy.address()).is_err());
    run(async {
        assert_eq!(client(&proxy, &authority).await.ask("GET", "/", b"").await.1, b"hello");
    });
    backend.join();
}
