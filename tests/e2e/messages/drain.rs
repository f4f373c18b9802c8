//! The end of the process with tunnels that plugins look into.

use rustix::process::Signal;
use tidegate_tests::guests::guest;
use tidegate_tests::tidegate;
use tidegate_tests::ws::Frame;

use super::{Ends, both_are_closed, say, text_at};

#[test]
fn tunnels_live_on_and_are_told_at_the_deadline() {
    let ends = Ends::new("");
    let text = "[server]\nworkers = 1\ncache_dir = \"%cache%\"\ndrain_timeout = \"1s\"\n\
                [plugins.m]\ncomponent = \"%messenger%\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
                upstream = \"%backend%\"\nplugins = [\"m\"]\n";
    let mut proxy = ends.before(tidegate(text).var("messenger", guest("messenger")).binary());
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "!replace before");
    assert_eq!(text_at(&mut backend), "before");
    proxy.process().signal(Signal::TERM);
    // It may be over before it is asked; where it is not, the plugin still looks.
    both_are_closed(client, backend, &Frame::close(1001), &Frame::close(1001));
    let status = proxy.process().wait();
    assert!(status.success(), "{status}");
}
