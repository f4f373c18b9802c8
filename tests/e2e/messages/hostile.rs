//! Plugins that do what they must not: the tunnel is closed with 1011, or goes on without them, and
//! nothing else notices.

use tidegate_tests::eventually;
use tidegate_tests::ws::Frame;

use super::{Ends, both_are_closed, closing, say, set_up, text_at};

/// Everything that fails a call.
const FAILURES: [&str; 9] =
    ["!trap", "!spin", "!hog", "!huge 2000000", "!flood 65", "!bad-text", "!close 1006", "!close 99999", "!request"];

#[test]
fn a_failure_closes_the_tunnel() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["deadline = \"10ms\""], "").in_process());
    for command in FAILURES {
        let (mut client, mut backend) = ends.open(&proxy);
        say(&mut client, "before");
        backend.expect(Frame::text("before").masked());
        say(&mut client, command);
        both_are_closed(client, backend, &closing(1011, ""), &closing(1011, ""));
        // The plugin is not worn out: another tunnel is served. (It rests after 8 in a row.)
        let (mut client, mut backend) = ends.open(&proxy);
        say(&mut client, "!replace all is well");
        assert_eq!(text_at(&mut backend), "all is well", "after {command}");
    }
    eventually("the tunnels to be gone", || proxy.open_tunnels() == 0);
}

#[test]
fn a_failure_lets_the_message_pass_where_it_may() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["deadline = \"10ms\"\non_failure = \"open\""], ""));
    let (mut client, mut backend) = ends.open(&proxy);
    for command in FAILURES.into_iter().filter(|command| !command.starts_with("!flood")) {
        say(&mut client, command);
        assert_eq!(text_at(&mut backend), command);
        // It was opened anew, and looks again.
        say(&mut client, "!replace seen");
        assert_eq!(text_at(&mut backend), "seen", "after {command}");
    }
}

/// The instance's other tunnels have lost what it knew of them.
#[test]
fn other_tunnels_of_the_instance() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let (mut first, first_end) = ends.open(&proxy);
    let (second, second_end) = ends.open(&proxy);
    say(&mut first, "!trap");
    let failed = closing(1011, "");
    both_are_closed(first, first_end, &failed, &failed);
    // Though nothing is said in it.
    both_are_closed(second, second_end, &failed, &failed);

    let proxy = ends.before(set_up(&["on_failure = \"open\""], ""));
    let (mut first, mut first_end) = ends.open(&proxy);
    let (mut second, mut second_end) = ends.open(&proxy);
    for (client, end) in [(&mut first, &mut first_end), (&mut second, &mut second_end)] {
        say(client, "!count");
        assert_eq!(text_at(end), "1 of 2");
    }
    say(&mut first, "!trap");
    assert_eq!(text_at(&mut first_end), "!trap");
    say(&mut second, "!count");
    assert_eq!(text_at(&mut second_end), "1 of 1", "opened anew, in another instance");
    say(&mut first, "!count");
    assert_eq!(text_at(&mut first_end), "1 of 2");
}

/// Tunnels that nobody looks into, and those of other plugins, are none of its business.
#[test]
fn other_plugins_tunnels_go_on() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&[""], ""));
    let mut plain = proxy.connect();
    plain.upgrade("/plain");
    let mut plain_end = ends.next();
    let (mut client, end) = ends.open(&proxy);
    say(&mut client, "!trap");
    both_are_closed(client, end, &closing(1011, ""), &closing(1011, ""));
    plain.send("still here");
    plain_end.expect("still here");
    plain_end.send("so am I");
    plain.expect("so am I");
}

/// Plugins that answer each other's messages with messages of their own come to an end.
#[test]
fn plugins_that_talk_to_each_other_for_ever() {
    let ends = Ends::new("");
    let proxy = ends.before(set_up(&["", ""], ""));
    let (mut client, backend) = ends.open(&proxy);
    let mut backend = backend;
    say(&mut client, "!again");
    let failed = closing(1011, "");
    // Some of their messages were on their way.
    let last = |wire: &mut tidegate_tests::Wire| {
        (0..100).map(|_| wire.read_frame()).find(|frame| *frame != Frame::text("!again")).unwrap()
    };
    assert_eq!((last(&mut client), last(&mut backend)), (failed.clone(), failed));
}
