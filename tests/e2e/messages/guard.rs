//! The stock plugin message-guard.

use tidegate_tests::tidegate;
use tidegate_tests::ws::Frame;

use super::{Ends, both_are_closed, closing, say, text_at};

fn before(ends: &Ends, config: &str) -> tidegate_tests::Proxy {
    let text = format!(
        "[server]\nworkers = 1\n[plugins.guard]\ncomponent = \"stock:message-guard\"\n{config}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"guard\"]\n"
    );
    ends.before(tidegate(&text))
}

#[test]
fn sizes_and_kinds() {
    let ends = Ends::new("");
    let proxy = before(
        &ends,
        "[plugins.guard.config.to_upstream]\nmax_size = 100\nkinds = [\"text\"]\nactions = { kind = \"drop\" }",
    );
    let (mut client, mut backend) = ends.open(&proxy);
    client.send(Frame::binary(b"not taken").masked());
    say(&mut client, &"x".repeat(100));
    backend.expect(Frame::text(&"x".repeat(100)).masked());
    backend.send(Frame::binary(&[1; 100_000]).bytes());
    client.expect(Frame::binary(&[1; 100_000]).bytes());
    // Told long before it has come whole.
    client.send(&Frame::text(&"x".repeat(1 << 20)).masked()[..4000]);
    let large = closing(1009, "the message is too large");
    assert_eq!(client.read_frame(), large);
    assert_eq!(backend.read_frame(), large);
}

#[test]
fn json_as_the_schema_wants_it() {
    let ends = Ends::new("");
    let proxy = before(
        &ends,
        "[plugins.guard.config.to_upstream]\nschema = { type = \"object\", required = [\"op\"], \
         properties = { op = { enum = [\"sub\", \"pub\"] }, room = { \"$ref\" = \"#/$defs/name\" } }, \
         additionalProperties = false, \"$defs\" = { name = { type = \"string\", maxLength = 8 } } }\n\
         actions = { schema = { replace = '{\"op\":\"refused\"}' }, json = { close = { code = 4000, reason = \"JSON\" } } }",
    );
    let (mut client, mut backend) = ends.open(&proxy);
    for good in ["{\"op\":\"sub\"}", " { \"op\" : \"pub\", \"room\": \"blue\" } "] {
        say(&mut client, good);
        backend.expect(Frame::text(good).masked());
    }
    for bad in ["{}", "[]", "{\"op\":\"sub\",\"room\":\"much too long\"}", "{\"op\":\"sub\",\"x\":1}"] {
        say(&mut client, bad);
        assert_eq!(text_at(&mut backend), "{\"op\":\"refused\"}", "{bad}");
    }
    say(&mut client, "{\"op\":");
    let told = closing(4000, "JSON");
    both_are_closed(client, backend, &told, &told);
}

#[test]
fn patterns_that_are_masked_or_end_the_tunnel() {
    let ends = Ends::new("");
    let proxy = before(
        &ends,
        "[plugins.guard.config.to_client]\ndeny = ['\\b\\d{4}-\\d{4}\\b']\nactions = { deny = { mask = \"####\" } }\n\
         [plugins.guard.config.to_upstream]\ndeny = ['(?i)password']",
    );
    let (mut client, mut backend) = ends.open(&proxy);
    backend.send(Frame::text("card 1234-5678, é, 1-2").bytes());
    client.expect(Frame::text("card ####, é, 1-2").bytes());
    say(&mut client, "1234-5678 may go up");
    assert_eq!(text_at(&mut backend), "1234-5678 may go up");
    client.send(Frame::binary(b"\xff PassWord").masked());
    let told = closing(1008, "not allowed");
    both_are_closed(client, backend, &told, &told);
}

/// A rate that is far below what any machine sends: the burst passes, the rest is refused and counted.
#[test]
fn a_burst_and_no_more() {
    let ends = Ends::new("");
    let text = "[server]\nworkers = 1\n[plugins.guard]\n\
                component = \"stock:message-guard\"\n[plugins.guard.config.to_upstream]\n\
                rate = { messages = 0.001, burst = 3 }\nactions = { rate = \"drop\" }\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"guard\"]\n";
    let proxy = ends.before(tidegate(text));
    let (mut client, mut backend) = ends.open(&proxy);
    let (mut other, mut other_end) = ends.open(&proxy);
    for n in 0..10 {
        say(&mut client, &n.to_string());
    }
    client.send(Frame::close(1000).masked());
    for n in 0..3 {
        assert_eq!(text_at(&mut backend), n.to_string());
    }
    // Of the other seven nothing came before the close frame.
    assert_eq!(backend.read_frame(), Frame::close(1000));
    say(&mut other, "another tunnel has its own");
    assert_eq!(text_at(&mut other_end), "another tunnel has its own");
}

/// `tidegate check` finds what cannot be, with its place.
#[test]
fn a_wrong_configuration_is_found() {
    let ends = Ends::new("");
    let text = "[server]\nworkers = 1\n[plugins.guard]\ncomponent = \"stock:message-guard\"\n\
                [plugins.guard.config.to_upstream]\nschema = { minimun = 1 }\n\
                [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"guard\"]\n";
    let problem = tidegate(text).var("backend", ends.backend.address()).try_start().err().expect("it is refused");
    assert!(problem.contains("minimun") && problem.contains("is not understood"), "{problem}");
}
