//! Plugins that have to wait before they answer about a message.

use tidegate_tests::guests::guest;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, Response, Setup, tidegate};

use super::{Ends, say, text_at};

/// A route with these plugins of three: one that asks a peer, and two that do what messages say, of
/// which one is called on a fiber.
fn set_up(peer: &Backend, plugins: &str, fetcher: &str) -> Setup {
    let text = format!(
        "[server]\nworkers = 1\n[upstreams.peer]\npeers = [\"{}\"]\n\
         [plugins.asks]\ncomponent = \"%fetcher%\"\nhooks = [\"messages\"]\ngrants = [\"http-client:upstream:peer\"]\n\
         deadline = \"20s\"\nconfig = {{ method = \"GET\", url = \"upstream:peer/\", max_body = 100 }}\n{fetcher}\n\
         [plugins.slow]\ncomponent = \"%messenger%\"\ndeadline = \"1s\"\nconfig = {{ suffix = \"-slow\" }}\n\
         [plugins.quick]\ncomponent = \"%messenger%\"\nconfig = {{ suffix = \"-quick\" }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [{plugins}]\n",
        peer.address()
    );
    tidegate(&text).var("messenger", guest("messenger")).var("fetcher", guest("fetcher"))
}

/// Messages keep their order though one of them has to wait.
#[test]
fn a_plugin_asks_before_it_answers() {
    let peer = Backend::http(|_| Response::text("granted"));
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&peer, "\"asks\"", ""));
    let (mut client, mut backend) = ends.open(&proxy);
    let mut all = Vec::new();
    for n in 0..20 {
        all.extend(Frame::text(&format!("{n}")).masked());
        all.extend(Frame::text("!pass").masked());
        all.extend(Frame::binary(&[n; 300]).masked());
    }
    client.send(all);
    for n in 0..20 {
        assert_eq!(text_at(&mut backend), format!("{n}: 200 granted"));
        assert_eq!(text_at(&mut backend), "!pass");
        assert_eq!(backend.read_frame(), Frame::binary(&[n; 300]));
    }
    // The other way nobody waits for anything.
    backend.send(Frame::text("back").bytes());
    client.expect(Frame::text("back").bytes());
}

/// What waits in one tunnel holds up no other, though both live in one instance.
#[test]
fn tunnels_of_one_instance_take_turns() {
    let peer = Backend::http(|_| Response::text("granted"));
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&peer, "\"asks\"", ""));
    let mut tunnels: Vec<_> = (0..6).map(|_| ends.open(&proxy)).collect();
    for round in 0..5 {
        for (client, _) in &mut tunnels {
            say(client, &round.to_string());
        }
        for (_, backend) in &mut tunnels {
            assert_eq!(text_at(backend), format!("{round}: 200 granted"));
        }
    }
    // One that leaves while it is asked about takes nothing from the others.
    let (mut leaver, _) = tunnels.remove(0);
    say(&mut leaver, "gone");
    leaver.reset();
    for (client, backend) in &mut tunnels {
        say(client, "after");
        assert_eq!(text_at(backend), "after: 200 granted");
    }
}

#[test]
fn a_chain_of_those_that_wait_and_those_that_do_not() {
    let peer = Backend::http(|_| Response::text("ok"));
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&peer, "\"quick\", \"asks\", \"slow\"", ""));
    let (mut client, mut backend) = ends.open(&proxy);
    for n in 0..5 {
        say(&mut client, &n.to_string());
        assert_eq!(text_at(&mut backend), format!("{n}-quick: 200 ok-slow"));
        backend.send(Frame::text("down").bytes());
        client.expect(Frame::text("down-slow-quick").bytes());
        // Each of them looks at what those before it let through.
        say(&mut client, "!drop");
        backend.send(Frame::text("!replace !replace both").bytes());
        client.expect(Frame::text("both").bytes());
    }
    say(&mut client, "!to-client own");
    client.expect(Frame::text("own").bytes());
}

/// A plugin whose request fails is told so, and a peer that says nothing holds up the messages only.
#[test]
fn the_peer_that_is_asked_is_gone() {
    let peer = Backend::http(|_| Response::text("ok"));
    let ends = Ends::new("");
    let setup = set_up(&peer, "\"asks\"", "");
    drop(peer);
    let proxy = ends.before(setup);
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "hello");
    let said = text_at(&mut backend);
    assert!(said.starts_with("hello: ") && !said.contains("200"), "{said}");
}
