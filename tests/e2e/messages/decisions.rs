//! What a plugin says about a message, and what comes of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tidegate::config;
use tidegate::server::Server;
use tidegate_tests::guests::guest;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Wire, eventually};

use super::{Ends, both_are_closed, closing, say, set_up, text_at};

#[test]
fn a_message_passes_is_replaced_or_is_left_out() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "hello");
    // As it came, with its own mask.
    backend.expect(Frame::text("hello").masked());
    say(&mut client, "!replace with this");
    assert_eq!(text_at(&mut backend), "with this");
    say(&mut client, "!drop");
    say(&mut client, "after it");
    backend.expect(Frame::text("after it").masked());
    backend.send(Frame::text("!replace äöü").bytes());
    client.expect(Frame::text("äöü").bytes());
    backend.send(Frame::text("!drop").bytes());
    backend.send(Frame::binary(b"!drop").bytes());
    client.expect(Frame::binary(b"!drop").bytes());
}

#[test]
fn own_messages_go_either_way() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "!to-client psst");
    client.expect(Frame::text("psst").bytes());
    assert_eq!(text_at(&mut backend), "!to-client psst");
    say(&mut client, "!to-upstream before");
    assert_eq!([text_at(&mut backend), text_at(&mut backend)], ["before", "!to-upstream before"]);
    say(&mut client, "!both ways");
    client.expect(Frame::text("ways").bytes());
    assert_eq!(backend.read_frame(), Frame::binary(b"ways"));
    backend.send(Frame::text("!to-client first").bytes());
    client.expect(Frame::text("first").bytes());
    client.expect(Frame::text("!to-client first").bytes());
    say(&mut client, "!flood 64");
    for n in 0..64 {
        client.expect(Frame::text(&n.to_string()).bytes());
    }
}

/// A message that goes through in parts is not interrupted by another one.
#[test]
fn own_messages_wait_for_the_end_of_one_that_goes_on_in_parts() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["config = { interest = [\"text-up\"] }"], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    let [begin, end] =
        [(false, ws::BINARY), (true, 0)].map(|(fin, opcode)| Frame { fin, opcode, payload: b"part".to_vec() }.bytes());
    let (head, rest) = begin.split_at(3);
    backend.send(head);
    client.expect(head);
    say(&mut client, "!to-client psst");
    assert_eq!(text_at(&mut backend), "!to-client psst");
    backend.send(rest);
    client.expect(rest);
    backend.send(Frame { opcode: ws::PING, ..Frame::text("now") }.bytes());
    client.expect(Frame { opcode: ws::PING, ..Frame::text("now") }.bytes());
    backend.send(&end);
    client.expect(&end);
    client.expect(Frame::text("psst").bytes());
}

#[test]
fn a_plugin_closes_the_tunnel_for_both() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], "").in_process());
    for (asked, frame) in [
        ("!close 1008", closing(1008, "")),
        ("!close 4242 mind your words", closing(4242, "mind your words")),
        ("!close 1000", closing(1000, "")),
    ] {
        let (mut client, backend) = ends.open(&proxy);
        say(&mut client, asked);
        // What follows is not looked at.
        say(&mut client, "late");
        both_are_closed(client, backend, &frame, &frame);
    }
    let (client, mut backend) = ends.open(&proxy);
    backend.send(Frame::text("!close 4000 from here").bytes());
    both_are_closed(client, backend, &closing(4000, "from here"), &closing(4000, "from here"));
    eventually("the tunnels to be gone", || proxy.open_tunnels() == 0);
}

/// Towards the upstream in the order of the route, towards the client in the reverse; own messages
/// pass the plugins that stand between.
#[test]
fn several_plugins() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(
        &["config = { suffix = \"a\" }", "config = { suffix = \"b\" }", "config = { suffix = \"c\" }"],
        "",
    ));
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "x");
    assert_eq!(text_at(&mut backend), "xabc");
    backend.send(Frame::text("x").bytes());
    client.expect(Frame::text("xcba").bytes());
    // The first obeys; the others see what it made.
    say(&mut client, "!replace y");
    assert_eq!(text_at(&mut backend), "ybc");
    // Each injects what the next ones see; a command passes all, so that each obeys it.
    say(&mut client, "!replace !to-client z");
    client.expect(Frame::text("za").bytes());
    client.expect(Frame::text("zba").bytes());
    assert_eq!(text_at(&mut backend), "!to-client z");
    backend.send(Frame::text("!replace !to-upstream w").bytes());
    assert_eq!([text_at(&mut backend), text_at(&mut backend)], ["wc", "wbc"]);
    client.expect(Frame::text("!to-upstream w").bytes());
}

#[test]
fn each_tunnel_has_its_own_state() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], "").in_process());
    let (mut first, mut first_end) = ends.open(&proxy);
    let (mut second, mut second_end) = ends.open(&proxy);
    for (n, client, end) in [(1, &mut first, &mut first_end), (1, &mut second, &mut second_end)] {
        say(client, "!count");
        assert_eq!(text_at(end), format!("{n} of 2"));
    }
    say(&mut first, "!count");
    assert_eq!(text_at(&mut first_end), "2 of 2");
    second_end.send(Frame::text("!count").bytes());
    second.expect(Frame::text("2 of 2").bytes());
    drop((second, second_end));
    eventually("the second tunnel to be gone", || proxy.open_tunnels() == 1);
    say(&mut first, "!count");
    assert_eq!(text_at(&mut first_end), "3 of 1");
}

/// Each tunnel has an instance of its own with `isolation = "request"`.
#[test]
fn an_instance_for_each_tunnel() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["isolation = \"request\""], ""));
    let mut tunnels = [ends.open(&proxy), ends.open(&proxy)];
    for (client, end) in &mut tunnels {
        say(client, "!count");
        assert_eq!(text_at(end), "1 of 1");
    }
}

/// Of the first bytes, cut between characters; the answer is about the whole, which goes on before
/// it is there.
#[test]
fn a_plugin_sees_no_more_than_it_wants() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["config = { first = 9 }"], "messages = { max_size = \"1KiB\" }"));
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "!replace äxyz");
    assert_eq!(text_at(&mut backend), "", "it was shown `!replace `");
    let long = format!("plain {}", "é".repeat(1000));
    say(&mut client, &long);
    backend.expect(Frame::text(&long).masked());
    // In parts: what is there goes on at once, though the message is larger than `max_size`.
    let frame = Frame::binary(&vec![7; 100_000]).masked();
    client.send(&frame[..40]);
    backend.expect(&frame[..40]);
    client.send(&frame[40..]);
    backend.expect(&frame[40..]);
    let parts = [(false, ws::BINARY, 4), (false, 0, 20), (true, 0, 3000)];
    let parts = parts.map(|(fin, opcode, n)| Frame { fin, opcode, payload: vec![1; n] });
    client.send(parts[0].masked());
    client.send(&parts[1].masked()[..12]);
    let first = backend.read_frame();
    assert_eq!((first.fin, first.opcode, first.payload), (false, ws::BINARY, vec![1; 4]));
    client.send(&parts[1].masked()[12..]);
    assert_eq!(backend.read_frame(), Frame { fin: false, opcode: 0, payload: vec![1; 20] });
    client.send(parts[2].masked());
    assert_eq!(backend.read_frame(), parts[2]);
    // A part is enough to leave all of it out, or to put another in its place.
    let dropped = format!("!drop    {}", "x".repeat(5000));
    say(&mut client, &dropped);
    say(&mut client, "!length 5");
    assert_eq!(text_at(&mut backend), "Some(9)");
    let asked = Frame::text(&format!("!length {}", "x".repeat(100_000))).masked();
    client.send(&asked[..40]);
    assert_eq!(text_at(&mut backend), "None", "before its length is known");
    client.send(&asked[40..]);
    say(&mut client, "next");
    backend.expect(Frame::text("next").masked());
}

/// What nobody subscribed to goes on as it comes, whatever its size.
#[test]
fn what_nobody_wants_to_see_streams() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["config = { interest = [\"text-up\"] }"], "messages = { max_size = \"1KiB\" }"));
    let (mut client, mut backend) = ends.open(&proxy);
    let large = Frame::binary(&vec![3; 3 << 20]);
    let begun = &large.masked()[..5000];
    client.send(begun);
    backend.expect(begun);
    let rest = large.masked()[5000..].to_vec();
    let writer = {
        let mut writer = client.writer();
        std::thread::spawn(move || writer.send(rest))
    };
    backend.expect(&large.masked()[5000..]);
    writer.join().unwrap();
    say(&mut client, "!drop");
    say(&mut client, "seen");
    backend.expect(Frame::text("seen").masked());
    backend.send(Frame::text("!drop").bytes());
    client.expect(Frame::text("!drop").bytes());
    let text = Frame::text(&"x".repeat(5000));
    backend.send(text.bytes());
    client.expect(text.bytes());
}

/// A tunnel that no plugin wants to see is one of bytes: nobody looks for frames in it.
#[test]
fn a_tunnel_that_nobody_wants_to_see() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["config = { interest = [] }"], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    client.send("these are no frames");
    backend.expect("these are no frames");
    backend.send("nor are these");
    client.expect("nor are these");
}

#[test]
fn a_plugin_that_fails_at_the_opening_refuses_the_handshake() {
    let backend = Backend::ws_echo();
    let trap = "config = { trap = true }";
    let proxy = set_up(&[trap], "").var("backend", backend.address()).start();
    let answer = |proxy: &tidegate_tests::Proxy| {
        let mut client: Wire = proxy.connect();
        client.send(ws::handshake("/ws", "X-Trap: 1\r\n"));
        (client.read_head().status(), client)
    };
    assert_eq!(answer(&proxy).0, 500);
    let mut client = proxy.open("/ws");
    client.echo(&Frame::text("another is served"));
    let open = format!("{trap}\non_failure = \"open\"");
    let proxy = set_up(&[&open], "").var("backend", backend.address()).start();
    let (status, mut client) = answer(&proxy);
    assert_eq!(status, 101);
    client.echo(&Frame::text("!drop"));
}

fn ask(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Hook `tunnel`, the numbers, and what the log says.
#[test]
fn tunnels_and_messages_are_counted() {
    let ends = Ends::new("");
    let dir = tidegate_tests::TempDir::new();
    let log = dir.path().join("log");
    let text = format!(
        "[server]\nworkers = 1\n[admin]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [log_formats.t]\ntemplate = \"$cause $tunnel_close_code $tunnel_messages_in $tunnel_messages_out\"\n\
         [access_log]\npath = {:?}\nformat = \"t\"\n[plugins.m]\ncomponent = {:?}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"{}\"\nplugins = [\"m\"]\n",
        log.display().to_string(),
        guest("messenger"),
        ends.backend.address(),
    );
    let server = Server::start(&config::load_str(&text, Path::new("."), "test.toml").unwrap()).unwrap();
    let (proxy, admin) = (server.addresses()[0], server.admin_address().unwrap());
    let mut client = Wire::connect(proxy);
    client.upgrade("/ws");
    let mut backend = ends.next();
    say(&mut client, "one");
    say(&mut client, "!drop");
    backend.expect(Frame::text("one").masked());
    backend.send(Frame::text("!replace two").bytes());
    client.expect(Frame::text("two").bytes());
    say(&mut client, "!to-client three");
    client.expect(Frame::text("three").bytes());
    assert_eq!(text_at(&mut backend), "!to-client three");
    let wanted = [
        "tidegate_messages_total{direction=\"in\",decision=\"pass\"} 2",
        "tidegate_messages_total{direction=\"in\",decision=\"drop\"} 1",
        "tidegate_messages_total{direction=\"in\",decision=\"inject\"} 1",
        "tidegate_messages_total{direction=\"out\",decision=\"replace\"} 1",
        "tidegate_plugin_tunnels_opened_total{plugin=\"m\"} 1",
        "tidegate_plugin_tunnels_closed_total{plugin=\"m\"} 0",
    ];
    let has = |wanted: &[&str]| {
        let metrics = ask(admin, "/metrics");
        wanted.iter().all(|wanted| metrics.lines().any(|line| line == *wanted))
    };
    eventually("the open tunnel's numbers", || has(&wanted));
    say(&mut client, "!close 4001");
    both_are_closed(client, backend, &closing(4001, ""), &closing(4001, ""));
    eventually("the ended tunnel's numbers", || {
        has(&[
            "tidegate_messages_total{direction=\"in\",decision=\"close\"} 1",
            "tidegate_plugin_tunnels_closed_total{plugin=\"m\"} 1",
            // Up: one and the last command that passed; down: two, three.
            "tidegate_plugin_delivered_total{plugin=\"m\"} 4",
            "tidegate_plugin_last_close_code{plugin=\"m\"} 4001",
        ])
    });
    server.reopen_logs();
    eventually("the log's line", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text == "tunnel.plugin_closed 4001 2 2\n")
    });
}
