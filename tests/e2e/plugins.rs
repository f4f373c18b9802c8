//! Plugins of one's own: what they change, in which order, and what their failures do.
//! The guests are the frozen ones of `tests/guests`.

use std::time::{Duration, Instant};

use tidegate_tests::guests::guest;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Setup, eventually, tidegate};

/// One route with these plugins: `name = settings` in `[plugins]`, in the chain's order.
fn with(plugins: &[(&str, &str)], more: &str) -> Setup {
    let tables: String = plugins
        .iter()
        .map(|(name, settings)| format!("[plugins.{name}]\ncomponent = \"%{name}%\"\n{settings}\n"))
        .collect();
    let chain: Vec<_> = plugins.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let text = format!(
        "{tables}[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [{}]\n{more}\n",
        chain.join(", ")
    );
    // A guest may be there twice under names such as `greeter-2`.
    plugins.iter().fold(tidegate(&text), |setup, (name, _)| {
        let component = name.strip_suffix("-2").unwrap_or(name);
        setup.var(name, guest(component))
    })
}

fn status(proxy: &Proxy, line: &str) -> u16 {
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n")).0.status()
}

#[test]
fn a_plugin_adds_to_the_stock_ones() {
    let backend = Backend::ws_echo();
    let proxy = with(&[("greeter", "config = { greeting = \"good day\" }")], "set_headers = { X-Own = \"1\" }")
        .var("backend", backend.address())
        .start();
    let mut client = proxy.open("/ws");
    client.echo(&Frame::text("hello"));
    let seen = backend.only_head();
    assert_eq!(seen.get("x-greeting"), Some("good day"));
    assert_eq!(seen.get("x-own"), Some("1"));
    assert_eq!(seen.get("x-real-ip"), Some("127.0.0.1"));
}

/// A table named as a stock plugin takes its place everywhere. With a `config` it is told
/// that alone.
#[test]
fn a_plugin_replaces_a_stock_one() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        [plugins.header-map]
        component = "%greeter%"
        config = { greeting = "instead" }
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        "#,
    )
    .var("greeter", guest("greeter"))
    .var("backend", backend.address())
    .start();
    assert_eq!(status(&proxy, ""), 200);
    let seen = backend.only_head();
    assert_eq!(seen.get("x-greeting"), Some("instead"));
    assert_eq!(seen.get("x-real-ip"), None, "the stock header-map still runs");
}

/// Without a `config` it is told what the stock one would be.
#[test]
fn a_replacement_is_told_what_the_stock_one_would_be() {
    let backend = Backend::named("ok");
    let text = r#"
        [plugins.header-map]
        component = "%component%"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        set_headers = { X-Own = "of $host" }
        "#;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/header-map.wasm");
    let proxy = tidegate(text).var("component", file).var("backend", backend.address()).start();
    assert_eq!(status(&proxy, ""), 200);
    assert_eq!(backend.only_head().get("x-own"), Some("of x"));
    // A greeter knows nothing of a header-map's configuration.
    let refused = tidegate(text).var("component", guest("greeter")).var("backend", backend.address()).try_start();
    let problems = refused.err().expect("a greeter is no header-map");
    assert!(problems.contains("header-map") && problems.contains("greeting"), "{problems}");
}

#[test]
fn the_chain_is_asked_in_order() {
    let backend = Backend::named("ok");
    // Both set the same header: the later one stands.
    let proxy = with(
        &[("greeter", "config = { greeting = \"first\" }"), ("greeter-2", "config = { greeting = \"second\" }")],
        "",
    )
    .var("backend", backend.address())
    .start();
    status(&proxy, "");
    assert_eq!(backend.only_head().get("x-greeting"), Some("second"));
    drop(proxy);
    let proxy = with(
        &[("greeter-2", "config = { greeting = \"second\" }"), ("greeter", "config = { greeting = \"first\" }")],
        "",
    )
    .var("backend", backend.address())
    .start();
    status(&proxy, "");
    assert_eq!(backend.heads()[1].get("x-greeting"), Some("first"));
}

/// The site's come first, then the route's; another route has only the site's.
#[test]
fn chains_of_site_and_route_are_joined() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        [plugins.site]
        component = "%greeter%"
        config = { greeting = "from the site" }
        [plugins.route]
        component = "%greeter%"
        config = { greeting = "from the route" }
        [[sites]]
        plugins = ["site"]
        [[sites.routes]]
        match = "/a"
        upstream = "%backend%"
        plugins = ["route"]
        [[sites.routes]]
        match = "/b"
        upstream = "%backend%"
        "#,
    )
    .var("greeter", guest("greeter"))
    .var("backend", backend.address())
    .start();
    for (path, wanted) in [("/a", "from the route"), ("/b", "from the site")] {
        assert_eq!(proxy.get(path).0.status(), 200);
        assert_eq!(backend.heads().last().unwrap().get("x-greeting"), Some(wanted), "{path}");
    }
}

/// A guest that fails on every call: closed answers 500 and asks no backend, open goes on.
#[track_caller]
fn fails(name: &str, settings: &str) {
    let backend = Backend::ws_echo();
    let closed = with(&[(name, settings)], "").var("backend", backend.address()).start();
    assert_eq!(status(&closed, ""), 500, "{name}, closed by default");
    assert_eq!(closed.ask(ws::handshake("/ws", "")).0.status(), 500, "{name}, closed");
    assert_eq!(backend.connections(), 0, "{name}: went to the backend");
    let open =
        with(&[(name, &format!("{settings}\non_failure = \"open\""))], "").var("backend", backend.address()).start();
    assert_eq!(status(&open, ""), 200, "{name}, open");
    open.open("/ws").echo(&Frame::text(name));
    for seen in backend.heads() {
        // A failed call has no effect, not even that of its sound edits.
        assert_eq!(seen.get("x-before"), None, "{name}");
        assert_eq!(seen.get("x-real-ip"), Some("127.0.0.1"), "{name}");
    }
}

#[test]
fn a_trap_fails_its_call() {
    fails("trap", "");
}

#[test]
fn an_endless_loop_fails_its_call() {
    fails("spin", "deadline = \"20ms\"");
}

#[test]
fn taking_too_much_memory_fails_the_call() {
    fails("hog", "memory = \"8MiB\"\ndeadline = \"2s\"");
}

#[test]
fn a_header_that_cannot_be_fails_the_call() {
    fails("bad-header", "");
    fails("bad-header", "config = { name = \"x-ok\", value = \"line\\nbreak\" }");
}

#[test]
fn a_header_of_the_hosts_fails_the_call() {
    for name in ["connection", "Upgrade", "transfer-encoding", "Content-Length", "sec-websocket-key"] {
        fails("bad-header", &format!("config = {{ name = \"{name}\", value = \"1\" }}"));
    }
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let backend = Backend::named("ok");
    let proxy = with(&[("spin", "deadline = \"50ms\"")], "").var("backend", backend.address()).start();
    let since = Instant::now();
    assert_eq!(status(&proxy, ""), 500);
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(5), "{took:?}");
}

/// A tunnel is open and other requests are made while calls fail.
#[test]
fn a_failure_leaves_others_alone() {
    for (name, settings, header) in [
        ("trap", "config = { always = false }", "X-Trap: 1\r\n"),
        ("spin", "config = { always = false }\ndeadline = \"20ms\"", "X-Spin: 1\r\n"),
    ] {
        let backend = Backend::ws_echo();
        let proxy = with(&[(name, settings)], "").var("backend", backend.address()).start();
        let mut tunnel = proxy.open("/ws");
        let mut kept = proxy.connect();
        for round in 0..5 {
            assert_eq!(status(&proxy, header), 500, "{name}");
            tunnel.echo(&Frame::text(name));
            kept.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let (head, body) = kept.read_response();
            assert_eq!((head.status(), body.text().as_str()), (200, "plain"), "{name}, round {round}");
        }
    }
}

/// An instance that has grown past half of its memory is replaced after its call, before a
/// call of somebody else's fails for want of memory.
#[test]
fn an_instance_that_has_grown_is_replaced() {
    let backend = Backend::named("ok");
    let proxy = with(&[("hog", "memory = \"8MiB\"\nconfig = { mib = 2 }\ndeadline = \"2s\"")], "")
        .var("backend", backend.address())
        .start();
    for _ in 0..6 {
        assert_eq!(status(&proxy, ""), 200);
    }
    let kept: Vec<_> = backend.heads().iter().map(|head| head.get("x-kept-mib").unwrap().to_owned()).collect();
    assert!(kept.iter().filter(|mib| *mib == "2").count() >= 2, "{kept:?}");
    assert!(kept.iter().any(|mib| mib == "4"), "{kept:?}");
}

#[test]
fn a_reused_instance_keeps_its_state() {
    let backend = Backend::named("ok");
    let proxy = with(&[("stateful", "")], "").var("backend", backend.address()).start();
    for i in 1..=5 {
        let (head, _) = proxy.get("/");
        assert_eq!(head.get("x-response-calls"), Some(i.to_string().as_str()));
        assert_eq!(backend.heads().last().unwrap().get("x-request-calls"), Some(i.to_string().as_str()));
    }
}

#[test]
fn an_instance_per_request_keeps_none() {
    let backend = Backend::named("ok");
    let proxy = with(&[("stateful", "isolation = \"request\"")], "").var("backend", backend.address()).start();
    for _ in 0..5 {
        let (head, _) = proxy.get("/");
        assert_eq!(head.get("x-response-calls"), Some("1"));
        assert_eq!(backend.heads().last().unwrap().get("x-request-calls"), Some("1"));
    }
}

#[test]
fn only_the_hooks_that_are_asked_for_run() {
    let backend = Backend::named("ok");
    let proxy = with(&[("stateful", "hooks = [\"response-headers\"]")], "").var("backend", backend.address()).start();
    let (head, _) = proxy.get("/");
    assert_eq!(head.get("x-response-calls"), Some("1"));
    assert_eq!(backend.only_head().get("x-request-calls"), None);
}

/// A plugin that waits (WASI's clock) holds up its own request and nobody else's.
#[test]
fn a_waiting_plugin_blocks_nobody() {
    let backend = Backend::named("ok");
    let proxy = tidegate(
        r#"
        [plugins.wasi-clock]
        component = "%clock%"
        config = { millis = 1500 }
        deadline = "10s"
        [[sites]]
        [[sites.routes]]
        match = "/slow"
        upstream = "%backend%"
        plugins = ["wasi-clock"]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        "#,
    )
    .var("clock", guest("wasi-clock"))
    .var("backend", backend.address())
    .start();
    let mut slow = proxy.connect();
    let since = Instant::now();
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(proxy.get("/").0.status(), 200);
    }
    let others = since.elapsed();
    assert_eq!(slow.read_response().0.status(), 200);
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(1400), "{waited:?}");
    assert!(others < waited, "twenty other requests took {others:?}");
    assert_eq!(backend.heads().last().unwrap().get("x-slept"), Some("1500"));
}

#[test]
fn a_refused_config_names_its_line() {
    let problems = tidegate(
        "[plugins.bad]\ncomponent = \"%bad%\"\n\
         [[sites]]\nplugins = [\"bad\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n",
    )
    .var("bad", guest("bad-config"))
    .try_start()
    .err()
    .expect("the plugin refuses its config");
    assert!(problems.contains(".toml:1:"), "{problems}");
    assert!(problems.contains("plugins.bad") && problems.contains("/thing: is wrong"), "{problems}");
}

#[test]
fn a_refused_value_names_its_line_and_column() {
    let problems = tidegate(
        "[plugins.greeter]\ncomponent = \"%greeter%\"\n[plugins.greeter.config]\ngreeting = \"\"\n\
         [[sites]]\nplugins = [\"greeter\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n",
    )
    .var("greeter", guest("greeter"))
    .try_start()
    .err()
    .expect("an empty greeting is refused");
    assert!(problems.contains(".toml:4:12: plugins.greeter.config.greeting: "), "{problems}");
    assert!(problems.contains("must not be empty"), "{problems}");
}

#[test]
fn a_config_of_another_shape_names_its_line() {
    let problems = tidegate(
        "[plugins.greeter]\ncomponent = \"%greeter%\"\nconfig = { greeting = 7 }\n\
         [[sites]]\nplugins = [\"greeter\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n",
    )
    .var("greeter", guest("greeter"))
    .try_start()
    .err()
    .expect("a number is no greeting");
    assert!(problems.contains(".toml:3:"), "{problems}");
    assert!(problems.contains("greeting"), "{problems}");
}

#[test]
fn another_contract_is_refused() {
    let problems = with(&[("wrong-version", "")], "").var("backend", "127.0.0.1:1").try_start().err();
    let problems = problems.expect("a plugin for contract 0.2.0 does not load");
    assert!(problems.contains("0.2.0"), "{problems}");
    assert!(problems.contains("wrong-version"), "{problems}");
}

#[test]
fn what_is_no_component_is_refused() {
    let text = "[plugins.x]\ncomponent = \"x.wasm\"\n[[sites]]\nplugins = [\"x\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n";
    let module = tidegate(text).file("x.wasm", b"\0asm\x01\0\0\0").try_start();
    let problems = module.err().expect("a module is no component");
    assert!(problems.contains("x.wasm") && problems.contains(".toml:1:"), "{problems}");
    let problems = tidegate(text).try_start().err().expect("there is no such file");
    assert!(problems.contains("x.wasm") && problems.contains(".toml:"), "{problems}");
}

/// A secret comes from a file that the configuration refers to.
#[test]
fn config_may_come_from_a_file() {
    let backend = Backend::named("ok");
    let proxy = with(&[("greeter", "config = { greeting = { from_file = \"greeting.txt\" } }")], "")
        .var("backend", backend.address())
        .file("greeting.txt", "from a file")
        .start();
    assert_eq!(status(&proxy, ""), 200);
    assert_eq!(backend.only_head().get("x-greeting"), Some("from a file"));
}

#[test]
fn a_reload_changes_plugins_config() {
    let backend = Backend::ws_echo();
    let text = |greeting: &str| {
        format!(
            "[plugins.greeter]\ncomponent = \"%greeter%\"\nconfig = {{ greeting = \"{greeting}\" }}\n\
             [[sites]]\nplugins = [\"greeter\"]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n"
        )
    };
    let mut proxy =
        tidegate(&text("old")).var("greeter", guest("greeter")).var("backend", backend.address()).in_process().start();
    let mut tunnel = proxy.open("/ws");
    proxy.reload(&text("new")).unwrap();
    eventually("the new greeting", || {
        proxy.get("/");
        backend.heads().last().unwrap().get("x-greeting") == Some("new")
    });
    proxy.reload(&text("")).expect_err("an empty greeting is refused");
    proxy.get("/");
    assert_eq!(backend.heads().last().unwrap().get("x-greeting"), Some("new"));
    tunnel.echo(&Frame::text("still here"));
    assert_eq!(backend.heads()[0].get("x-greeting"), Some("old"));
}
