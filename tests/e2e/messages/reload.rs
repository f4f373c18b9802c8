//! Open tunnels over a reload: they stay with the plugin that opened them, or move.

use super::{Ends, say, set_up, text_at};

fn text(reload: &str, suffix: &str) -> String {
    format!(
        "[server]\nworkers = 1\n[plugins.m0]\ncomponent = \"%messenger%\"\n{reload}\nconfig = {{ suffix = \"{suffix}\" }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"m0\"]\n"
    )
}

#[test]
fn tunnels_keep_the_plugin_that_opened_them() {
    let ends = Ends::new("");
    let mut proxy = ends.before(set_up(&["config = { suffix = \"-old\" }"], "").in_process());
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "a");
    assert_eq!(text_at(&mut backend), "a-old");
    proxy.reload(&text("", "-new")).unwrap();
    say(&mut client, "b");
    assert_eq!(text_at(&mut backend), "b-old");
    let (mut later, mut later_end) = ends.open(&proxy);
    say(&mut later, "c");
    assert_eq!(text_at(&mut later_end), "c-new");
    say(&mut client, "!count");
    assert_eq!(text_at(&mut backend), "3 of 1", "what it knew is not lost");
}

#[test]
fn tunnels_move_to_the_new_plugin() {
    let ends = Ends::new("");
    let restart = "tunnels_on_reload = \"restart\"";
    let mut proxy = ends.before(set_up(&[&format!("{restart}\nconfig = {{ suffix = \"-old\" }}")], "").in_process());
    let (mut client, mut backend) = ends.open(&proxy);
    say(&mut client, "a");
    assert_eq!(text_at(&mut backend), "a-old");
    proxy.reload(&text(restart, "-new")).unwrap();
    say(&mut client, "b");
    assert_eq!(text_at(&mut backend), "b-new");
    say(&mut client, "!count");
    assert_eq!(text_at(&mut backend), "2 of 1", "it was opened anew");
    // Once without the plugin: the tunnel stays where it is.
    let plain = "[server]\nworkers = 1\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n";
    proxy.reload(plain).unwrap();
    say(&mut client, "c");
    assert_eq!(text_at(&mut backend), "c-new");
}
