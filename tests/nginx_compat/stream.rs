//! nginx's `stream` with `ssl_preread`: which peer a connection reaches, what it sees, and what the
//! log says. Needs Debian's `libnginx-mod-stream`.

use tidegate_tests::backend::Refusing;
use tidegate_tests::hello::{hello, in_records};
use tidegate_tests::{Authority, Backend, Proxy, Setup, Subject, TlsClient, Wire, both, eventually, wait_for};

both!(
    names_lead_to_peers,
    protocols_lead_to_peers,
    plain_tcp,
    tls_is_terminated,
    the_proxy_protocol_both_ways,
    a_hello_that_does_not_come,
    a_hello_that_is_too_long,
    silence_ends_a_connection,
    the_next_peer_is_tried,
    ends_are_passed_on,
    a_hash_of_the_name,
    who_may_not_come,
    numbers_of_connections,
    what_the_log_says,
);

/// Both as their own files have it: nginx's text stands in `stream { … }`.
fn with(subject: Subject, nginx: &str, tidegate: &str) -> Setup {
    let nginx = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {{}}\nstream {{\n{nginx}\n}}\nhttp {{\n    access_log off;\n}}\n"
    );
    subject.setup().nginx(&nginx).tidegate(tidegate)
}

/// A peer that says what it is called once something has come, and takes the rest.
fn named(name: &'static str) -> Backend {
    Backend::script(move |mut wire, _| {
        // nginx's harness looks whether the port is open.
        if wire.try_read().is_ok_and(|piece| !piece.is_empty()) {
            let _ = wire.try_send(name);
            while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
        }
    })
}

#[track_caller]
fn reaches(proxy: &Proxy, sent: &[u8], name: &str) {
    let mut wire = proxy.connect();
    wire.send(sent);
    wire.expect(name);
}

const BY_NAME: (&str, &str) = (
    "map $ssl_preread_server_name $to { hostnames; a.test %a%; *.a.test %b%; .b.test %b%; ~^c\\d+\\.test$ %a%; default %c%; }
     server { listen %listen%; ssl_preread on; proxy_pass $to; }",
    r#"
    [[streams]]
    name = "a"
    names = ["a.test", "~^c\\d+\\.test$"]
    upstream = "%a%"
    [[streams]]
    name = "b"
    names = ["*.a.test", ".b.test"]
    upstream = "%b%"
    [[streams]]
    name = "c"
    upstream = "%c%"
    "#,
);

fn names_lead_to_peers(subject: Subject) {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let proxy =
        with(subject, BY_NAME.0, BY_NAME.1).var("a", a.address()).var("b", b.address()).var("c", c.address()).start();
    for (name, to) in [
        ("a.test", "a"),
        ("A.Test", "a"),
        ("x.a.test", "b"),
        ("y.x.a.test", "b"),
        ("b.test", "b"),
        ("x.b.test", "b"),
        ("c12.test", "a"),
        ("other.test", "c"),
        ("192.0.2.1", "c"),
    ] {
        reaches(&proxy, &hello(name, &[]), to);
    }
    let modern = hello("a.test", &["h2", "http/1.1"]);
    for size in [60, 1000] {
        reaches(&proxy, &in_records(&modern, size), "a");
    }
    let mut wire = proxy.connect();
    modern.iter().for_each(|byte| wire.send([*byte]));
    wire.expect("a");
    // What is no TLS has no name.
    for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x02\x01\x00\x05hello", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
    {
        reaches(&proxy, other, "c");
    }
}

fn protocols_lead_to_peers(subject: Subject) {
    let (a, b) = (named("a"), named("b"));
    let proxy = with(
        subject,
        "map $ssl_preread_alpn_protocols $to { ~\\bacme-tls/1\\b %a%; default %b%; }
         server { listen %listen%; ssl_preread on; proxy_pass $to; }",
        "[[streams]]\nalpn = [\"acme-tls/1\"]\nupstream = \"%a%\"\n[[streams]]\nupstream = \"%b%\"\n",
    );
    let proxy = proxy.var("a", a.address()).var("b", b.address()).start();
    reaches(&proxy, &hello("x.test", &["acme-tls/1"]), "a");
    reaches(&proxy, &hello("x.test", &["h2", "acme-tls/1"]), "a");
    reaches(&proxy, &hello("x.test", &["h2"]), "b");
    reaches(&proxy, &hello("x.test", &[]), "b");
}

fn plain_tcp(subject: Subject) {
    let backend = Backend::script(|mut wire, number| {
        // Before a client says anything.
        wire.send("220 hello\r\n");
        if subject_probes(number, &mut wire) {
            return;
        }
        wire.expect("EHLO x\r\n");
        wire.send([b'z'; 300_000]);
        wire.expect_close();
    });
    let proxy =
        with(subject, "server { listen %listen%; proxy_pass %backend%; }", "[[streams]]\nupstream = \"%backend%\"\n");
    let proxy = proxy.var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.expect("220 hello\r\n");
    wire.send("EHLO x\r\n");
    assert_eq!(wire.read_exact(300_000), [b'z'; 300_000]);
    wire.finish();
    wire.expect_close();
}

/// Whether this is the harness's look at nginx's port: it comes first, and ends at once.
fn subject_probes(number: usize, wire: &mut Wire) -> bool {
    number == 1 && !wire.has_more()
}

fn tls_is_terminated(subject: Subject) {
    let (backend, authority) = (named("inside"), Authority::new());
    let server = authority.issue(&["db.test"]);
    let proxy = with(
        subject,
        "server { listen %listen% ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %dir%/db.pem; ssl_certificate_key %dir%/db.key; proxy_pass %backend%; }",
        "[[listeners]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"db.pem\", key = \"db.key\" }\n\
         [[streams]]\nupstream = \"%backend%\"\n",
    );
    let proxy = proxy.file("db.pem", server.certificate).file("db.key", server.key);
    let proxy = proxy.var("backend", backend.address()).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (mut wire, session) =
            TlsClient::with(&authority, "db.test", &[version], None).connect_seeing(proxy.address());
        assert_eq!(session.alpn, None);
        wire.send("hello");
        wire.expect("inside");
    }
    let mut plain = proxy.connect();
    plain.send("no TLS at all\r\n");
    plain.expect_end();
}

fn the_proxy_protocol_both_ways(subject: Subject) {
    let backend = Backend::script(|mut wire, _| {
        let line = wire.read_line();
        let first = wire.read_exact(1);
        wire.send(format!("{line} {}", first[0]));
        while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {}
    });
    let proxy = with(
        subject,
        "server { listen %listen% proxy_protocol; set_real_ip_from 127.0.0.1; proxy_protocol on; ssl_preread on;
            proxy_pass %backend%; }",
        "[upstreams.told]\npeers = [\"%backend%\"]\nproxy_protocol = \"v1\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = { from = [\"127.0.0.1\"] }\n\
         [[streams]]\npreread = true\nupstream = \"told\"\n",
    );
    let proxy = proxy.var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.send([b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", &hello("a.test", &[])[..]].concat());
    let line = wire.read_exact(30);
    assert!(line.starts_with(b"PROXY TCP4 192.0.2.1 "), "{}", line.escape_ascii());
}

const LOG: (&str, &str) = (
    "log_format l '$protocol $status $bytes_sent $bytes_received <$ssl_preread_server_name> <$upstream_addr>';
     access_log %dir%/access.log l;",
    "[log_formats.l]\ntemplate = \"$protocol $status $bytes_sent $bytes_received <$ssl_preread_server_name> <$upstream_addr>\"\n",
);

/// The lines of the log about what the test has sent; nginx has one about the look at its port.
fn lines(subject: Subject, proxy: &Proxy, count: usize) -> Vec<String> {
    let before = usize::from(subject == Subject::Nginx);
    wait_for("the lines of the log", || {
        let lines: Vec<_> = proxy.read_file("access.log").lines().skip(before).map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// One stream with this log; `nginx` stands in its `server`, `tidegate` in the stream.
fn logged(subject: Subject, nginx: &str, tidegate: &str, listener: &str) -> Setup {
    let nginx = format!("{} server {{ listen %listen%; {nginx} }}", LOG.0);
    let tidegate = format!(
        "{}[[listeners]]\naddress = \"127.0.0.1:0\"\n{listener}\n[[streams]]\n{tidegate}\n\
         access_log = {{ path = \"access.log\", format = \"l\" }}\n",
        LOG.1
    );
    with(subject, &nginx, &tidegate)
}

fn a_hello_that_does_not_come(subject: Subject) {
    let backend = named("nobody asks");
    let proxy = logged(
        subject,
        "ssl_preread on; preread_timeout 200ms; proxy_pass %backend%;",
        "preread = true\nupstream = \"%backend%\"",
        "preread_timeout = \"200ms\"",
    );
    let proxy = proxy.var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.send(&hello("a.test", &[])[..3]);
    wire.expect_end();
    let line = &lines(subject, &proxy, 1)[0];
    assert!(line.starts_with("TCP 200 0 "), "{line}");
    assert_eq!(backend.connections(), 0);
}

fn a_hello_that_is_too_long(subject: Subject) {
    let backend = named("nobody asks");
    let proxy =
        logged(subject, "ssl_preread on; proxy_pass %backend%;", "preread = true\nupstream = \"%backend%\"", "");
    let proxy = proxy.var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    // The other end may be gone before all of it is written.
    let _ = wire.try_send([&b"\x16\x03\x01\x41\x00\x01\x00\x40\xfc"[..], &[3; 20_000]].concat());
    wire.expect_end();
    let line = &lines(subject, &proxy, 1)[0];
    assert!(line.starts_with("TCP 400 0 "), "{line}");
    assert_eq!(backend.connections(), 0);
}

fn silence_ends_a_connection(subject: Subject) {
    let backend = named("b");
    let proxy = logged(
        subject,
        "proxy_timeout 200ms; proxy_pass %backend%;",
        "idle_timeout = \"200ms\"\nupstream = \"%backend%\"",
        "",
    );
    let proxy = proxy.var("backend", backend.address()).start();
    let mut wire = proxy.connect();
    wire.send("hello");
    wire.expect("b");
    wire.expect_end();
    let line = &lines(subject, &proxy, 1)[0];
    assert_eq!(*line, format!("TCP 200 1 5 <-> <{}>", backend.address()));
}

fn the_next_peer_is_tried(subject: Subject) {
    let (refusing, other, backend) = (Refusing::new(), Refusing::new(), named("b"));
    for (next, tidegate) in [("on", "true"), ("off", "false")] {
        let nginx = format!(
            "{} upstream group {{ server %refusing%; server %other%; server %backend%; }}
             server {{ listen %listen%; proxy_next_upstream {next}; proxy_pass group; }}",
            LOG.0
        );
        let tidegate = format!(
            "{}[upstreams.group]\npeers = [\"%refusing%\", \"%other%\", \"%backend%\"]\n[[streams]]\nupstream = \"group\"\n\
             next_upstream = {tidegate}\naccess_log = {{ path = \"access.log\", format = \"l\" }}\n",
            LOG.1
        );
        let proxy = with(subject, &nginx, &tidegate);
        let proxy = proxy
            .var("refusing", refusing.address())
            .var("other", other.address())
            .var("backend", backend.address())
            .start();
        let mut wire = proxy.connect();
        if next == "on" {
            wire.send("hello");
            wire.expect("b");
            wire.finish();
        }
        wire.expect_end();
        // nginx has met one or both of those that refuse with the look at its port, and leaves them out.
        let (first, second, third) = (refusing.address(), other.address(), backend.address());
        let fits = |line: &&str| match (next, subject) {
            ("on", Subject::Nginx) => line.starts_with("TCP 200 1 5 <-> <") && line.ends_with(&format!("{third}>")),
            ("on", Subject::Tidegate) => **line == format!("TCP 200 1 5 <-> <{first}, {second}, {third}>"),
            _ => [first, second].iter().any(|tried| **line == format!("TCP 502 0 0 <-> <{tried}>")),
        };
        let wanted = if (next, subject) == ("off", Subject::Nginx) { 2 } else { 1 };
        eventually("the line about it", || proxy.read_file("access.log").lines().filter(fits).count() == wanted);
    }
}

fn ends_are_passed_on(subject: Subject) {
    for (half, answer) in [(true, "answer"), (false, "")] {
        let backend = Backend::script(move |mut wire, _| {
            if wire.read_until_close() == b"request" {
                let _ = wire.try_send("answer");
            }
        });
        let proxy = logged(
            subject,
            &format!("proxy_half_close {}; proxy_pass %backend%;", if half { "on" } else { "off" }),
            &format!("half_close = {half}\nupstream = \"%backend%\""),
            "",
        );
        let proxy = proxy.var("backend", backend.address()).start();
        let mut wire = proxy.connect();
        wire.send("request");
        eventually("the request to have arrived", || backend.connections() > 0);
        wire.finish();
        assert_eq!(String::from_utf8(wire.read_until_close()).unwrap(), answer);
        let line = &lines(subject, &proxy, 1)[0];
        assert_eq!(*line, format!("TCP 200 {} 7 <-> <{}>", answer.len(), backend.address()));
    }
}

/// The same peer for the same name on both, since the hash is nginx's.
fn a_hash_of_the_name(subject: Subject) {
    let (one, two, three) = (named("1"), named("2"), named("3"));
    let proxy = with(
        subject,
        "upstream group { hash $ssl_preread_server_name; server %one%; server %two%; server %three%; }
         server { listen %listen%; ssl_preread on; proxy_pass group; }",
        "[upstreams.group]\npolicy = \"hash\"\nhash = { key = \"$ssl_preread_server_name\" }\n\
         peers = [\"%one%\", \"%two%\", \"%three%\"]\n[[streams]]\npreread = true\nupstream = \"group\"\n",
    );
    let proxy = proxy.var("one", one.address()).var("two", two.address()).var("three", three.address()).start();
    let reached: String = (0..12)
        .map(|number| {
            let mut wire = proxy.connect();
            wire.send(hello(&format!("n{number}.test"), &[]));
            char::from(wire.read_exact(1)[0])
        })
        .collect();
    assert_eq!(reached, HASHED);
}

/// As nginx chooses.
const HASHED: &str = "231333213312";

fn who_may_not_come(subject: Subject) {
    let backend = named("nobody asks");
    let proxy = logged(
        subject,
        "allow 192.0.2.0/24; deny all; proxy_pass %backend%;",
        "access = [\"allow 192.0.2.0/24\", \"deny all\"]\nupstream = \"%backend%\"",
        "",
    );
    let proxy = proxy.var("backend", backend.address()).start();
    proxy.connect().expect_end();
    assert_eq!(lines(subject, &proxy, 1)[0], "TCP 403 0 0 <-> <->");
    assert_eq!(backend.connections(), 0);
}

fn numbers_of_connections(subject: Subject) {
    let backend = named("b");
    let nginx = format!(
        "{} limit_conn_zone $binary_remote_addr zone=client:1m;
         server {{ listen %listen%; limit_conn client 1; proxy_pass %backend%; }}",
        LOG.0
    );
    let tidegate = format!(
        "{}[limits.client]\nkey = \"$binary_remote_addr\"\n[[streams]]\nupstream = \"%backend%\"\n\
         concurrent = [{{ zone = \"client\", total = 1 }}]\naccess_log = {{ path = \"access.log\", format = \"l\" }}\n",
        LOG.1
    );
    let proxy = with(subject, &nginx, &tidegate).var("backend", backend.address()).start();
    // Once nginx has let go of the look at its port.
    let mut wire = wait_for("room for one", || {
        let mut wire = proxy.connect();
        (wire.try_send("hello").is_ok() && wire.has_more()).then_some(wire)
    });
    wire.expect("b");
    let before = lines(subject, &proxy, 0).len();
    proxy.connect().expect_end();
    let lines = lines(subject, &proxy, before + 1);
    assert_eq!(lines[before], "TCP 503 0 0 <-> <->");
}

fn what_the_log_says(subject: Subject) {
    let backend = named("answer");
    let format = "$remote_addr $protocol $status $bytes_sent $bytes_received $upstream_addr $upstream_bytes_sent \
                  $upstream_bytes_received $ssl_preread_server_name $ssl_preread_alpn_protocols $ssl_preread_protocol \
                  $server_addr $kind";
    let nginx = format!(
        "map $ssl_preread_server_name $kind {{ a.test known; }} log_format l '{format}'; access_log %dir%/access.log l;
         server {{ listen %listen%; ssl_preread on; proxy_pass %backend%; }}"
    );
    let tidegate = format!(
        "[log_formats.l]\ntemplate = \"{format}\"\n[maps.kind]\nfrom = \"$ssl_preread_server_name\"\n\
         values = {{ \"a.test\" = \"known\" }}\n[[streams]]\npreread = true\nupstream = \"%backend%\"\n\
         access_log = {{ path = \"access.log\", format = \"l\" }}\n"
    );
    let proxy = with(subject, &nginx, &tidegate).var("backend", backend.address()).start();
    let sent = hello("a.test", &["h2", "http/1.1"]);
    for bytes in [&sent[..], b"no TLS"] {
        let mut wire = proxy.connect();
        wire.send(bytes);
        wire.expect("answer");
        wire.finish();
        wire.expect_end();
    }
    let (length, address) = (sent.len(), backend.address());
    // The deliberate difference: nginx does not count as received what it has pre-read.
    let received = |length: usize| if subject == Subject::Nginx { 0 } else { length };
    let (first, second) = (received(length), received(6));
    assert_eq!(
        lines(subject, &proxy, 2),
        [
            format!("127.0.0.1 TCP 200 6 {first} {address} {length} 6 a.test h2,http/1.1 TLSv1.3 127.0.0.1 known"),
            format!("127.0.0.1 TCP 200 6 {second} {address} 6 6 - - - 127.0.0.1 "),
        ]
    );
}
