//! `listen … proxy_protocol` with `real_ip_header proxy_protocol`: who the client is taken for.

use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Proxy, Subject, Wire, both, tidegate};

both!(
    the_client_is_the_one_of_the_header,
    without_addresses_it_is_the_sender,
    it_holds_for_all_of_the_connection,
    what_is_no_header_is_closed_without_a_word,
    limits_and_logs_have_the_real_address,
);

const SEEN: &str = "$remote_addr $realip_remote_addr <$proxy_protocol_addr> <$proxy_protocol_port> \
                    <$proxy_protocol_server_addr> <$proxy_protocol_server_port>";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn behind(subject: Subject, backend: &Backend) -> Proxy {
    let nginx = format!(
        "limit_req_zone $remote_addr zone=client:1m rate=1r/m;
         server {{ listen %listen% proxy_protocol; set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;
            access_log %dir%/access.log;
            location / {{ proxy_pass http://%backend%; %guide%
                proxy_set_header X-Seen \"{SEEN}\"; proxy_set_header X-Port \"$remote_port\"; }}
            location /limited {{ limit_req zone=client; proxy_pass http://%backend%; }} }}"
    );
    let tidegate = format!(
        "[access_log]\npath = \"access.log\"\n[limits.client]\nkey = \"$remote_addr\"\nrate = \"1/m\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = {{ from = [\"127.0.0.1\"] }}\n\
         [[sites]]\nupstream = \"%backend%\"\n[[sites.routes]]\nmatch = \"/\"\n\
         set_headers = {{ X-Seen = \"{SEEN}\", X-Port = \"$remote_port\" }}\n\
         [[sites.routes]]\nmatch = \"/limited\"\nlimits = {{ rate = [\"client\"] }}\n"
    );
    subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start()
}

fn binary(head: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, head, &length, rest].concat()
}

/// A connection that begins with a header and a request, in one piece.
fn ask(proxy: &Proxy, header: &[u8], path: &str) -> Wire {
    let mut wire = proxy.connect();
    wire.send([header, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()].concat());
    wire
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xBB];

fn the_client_is_the_one_of_the_header(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = behind(subject, &backend);
    let v6 =
        [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[2], &[0, 7, 0, 80]].concat();
    let four = "192.0.2.1 127.0.0.1 <192.0.2.1> <12345> <198.51.100.2> <443>";
    let six = "2001:db8::1 127.0.0.1 <2001:db8::1> <7> <2001:db8::2> <80>";
    for (header, seen, port) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n".to_vec(), four, "12345"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 7 80\r\n".to_vec(), six, "7"),
        (binary(&[0x21, 0x11], V4), four, "12345"),
        (binary(&[0x21, 0x11], &[V4, &[0x04, 0, 3, 1, 2, 3], &[0xEA, 0, 1, 9]].concat()), four, "12345"),
        (binary(&[0x21, 0x21], &v6), six, "7"),
    ] {
        assert_eq!(ask(&proxy, &header, "/").read_response().0.status(), 200);
        let head = backend.heads().pop().unwrap();
        assert_eq!([head.get("x-seen"), head.get("x-port")], [Some(seen), Some(port)], "{}", header.escape_ascii());
        let real = seen.split(' ').next();
        assert_eq!([head.get("x-real-ip"), head.get("x-forwarded-for")], [real; 2]);
    }
}

fn without_addresses_it_is_the_sender(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = behind(subject, &backend);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.1 198.51.100.2 12345 443\r\n".to_vec(),
        binary(&[0x20, 0x00], &[]),
        binary(&[0x20, 0x11], V4),
        binary(&[0x21, 0x00], &[]),
        binary(&[0x21, 0x12], V4),
    ] {
        let mut wire = ask(&proxy, &header, "/");
        assert_eq!(wire.read_response().0.status(), 200);
        let head = backend.heads().pop().unwrap();
        let seen = Some("127.0.0.1 127.0.0.1 <> <> <> <>");
        assert_eq!(head.get("x-seen"), seen, "{}", header.escape_ascii());
        assert_eq!(head.get("x-port"), Some(wire.local().port().to_string().as_str()));
    }
}

fn it_holds_for_all_of_the_connection(subject: Subject) {
    let backend = Backend::ws_echo();
    let proxy = behind(subject, &backend);
    let mut wire = proxy.connect();
    wire.send(b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n");
    wire.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    wire.read_response();
    wire.send("GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    wire.read_response();
    assert_eq!(wire.upgrade("/ws").status(), 101);
    wire.echo(&Frame::text("behind a proxy"));
    let heads = backend.heads();
    assert_eq!(heads.len(), 3);
    assert!(heads.iter().all(|head| head.get("x-real-ip") == Some("192.0.2.1")));
}

fn what_is_no_header_is_closed_without_a_word(subject: Subject) {
    let backend = Backend::named("nobody asks");
    let proxy = behind(subject, &backend);
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.2 12345 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 123456 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 a 443\r\n",
        &binary(&[0x11, 0x11], V4),
        &binary(&[0x21, 0x11], &V4[..11]),
    ] {
        ask(&proxy, header, "/").expect_end();
    }
    assert_eq!(backend.connections(), 0);
}

fn limits_and_logs_have_the_real_address(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = behind(subject, &backend);
    let status = |client: &str| {
        let header = format!("PROXY TCP4 {client} 198.51.100.2 12345 443\r\n");
        ask(&proxy, header.as_bytes(), "/limited").read_response().0.status()
    };
    assert_eq!(["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(status), [200, 503, 200]);
    let log = tidegate_tests::wait_for("three lines", || {
        let log = proxy.read_file("access.log");
        (log.lines().count() == 3).then_some(log)
    });
    let clients: Vec<_> = log.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(clients, ["192.0.2.1", "192.0.2.1", "192.0.2.2"]);
}

/// What Tidegate sends to a peer, nginx takes.
#[test]
fn nginx_as_a_peer_believes_the_header() {
    let nginx = Subject::Nginx
        .setup()
        .nginx(
            "server { listen %listen% proxy_protocol;
                return 200 '$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port'; }",
        )
        .start();
    for version in ["v1", "v2"] {
        let text = format!(
            "[upstreams.told]\nproxy_protocol = \"{version}\"\npeers = [\"%nginx%\"]\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"told\"\n"
        );
        let proxy = tidegate(&text).var("nginx", nginx.address()).start();
        let mut wire = proxy.connect();
        wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(wire.read_response().1.text(), format!("{} {}", wire.local(), proxy.address()), "{version}");
    }
}
