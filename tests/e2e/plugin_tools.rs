//! `tidegate plugin test` and its like: the real binary, and real components.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tidegate_tests::guests::guest;
use tidegate_tests::subject::Binary;
use tidegate_tests::{Backend, Response, TempDir, Wire, eventually};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Run cases about a guest.
fn run(name: &str, cases: &str, more: &[&str]) -> Output {
    let dir = TempDir::new();
    let file = dir.write("cases.toml", format!("component = {:?}\n{cases}", guest(name)).as_bytes());
    let file = file.display().to_string();
    Binary::output(&[&["plugin", "test", &file], more].concat())
}

#[track_caller]
fn passes(name: &str, cases: &str) -> String {
    let output = run(name, cases, &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn fails(name: &str, cases: &str) -> String {
    let output = run(name, cases, &[]);
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_cases_of_every_stock_plugin_pass() {
    let folders = root().join("plugins").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<PathBuf> = folders.filter(|folder| folder.join("Cargo.toml").exists()).collect();
    assert!(all.len() >= 8, "{all:?}");
    let files = all.iter().map(|folder| folder.join("cases.toml").display().to_string());
    let files: Vec<String> = files.collect();
    let arguments = ["plugin", "test"].into_iter().chain(files.iter().map(String::as_str)).collect::<Vec<_>>();
    let output = Binary::output(&arguments);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn messages_of_tunnels_are_judged_in_one_instance() {
    let said = passes(
        "messenger",
        r#"
        config = { suffix = "!" }
        [[case]]
        name = "texts get a suffix, both ways, and binary passes"
        hook = "messages"
        expect = { sees = ["text-to-upstream", "binary-to-upstream", "text-to-client", "binary-to-client"], first = false }
        messages = [
            { from = "client", text = "hello", expect = { replace = "hello!" } },
            { from = "upstream", text = "hello", expect = { replace = "hello!" } },
            { from = "client", hex = "00ff", expect = "pass" },
        ]
        [[case]]
        name = "what nobody asked for is not shown"
        hook = "messages"
        config = { interest = ["text-down"] }
        messages = [{ from = "client", text = "hello", expect = "unseen" }]
        [[case]]
        name = "nothing at all"
        hook = "messages"
        config = { interest = [] }
        expect = "none"
        [[case]]
        name = "opening fails alone"
        hook = "messages"
        config = { trap = true }
        request = { headers = { X-Trap = "1" } }
        expect = { failure = { kind = "plugin.trap" } }
        [[case]]
        name = "tunnels are counted"
        [[case.steps]]
        hook = "tunnel"
        event = "open"
        expect = { done = {}, metrics = { tunnels_opened_total = 1, tunnels_closed_total = 0 } }
        [[case.steps]]
        hook = "tunnel"
        event = "close"
        summary = { close_code = 1001, messages_in = 3 }
        expect = { metrics = { tunnels_closed_total = 1, last_close_code = 1001 } }
        "#,
    );
    assert!(said.contains("5 cases") && said.contains("0 failed"), "{said}");
}

#[test]
fn what_differs_is_shown_with_what_the_plugin_said() {
    let said = fails(
        "trap",
        r#"
        config = { always = false }
        [[case]]
        name = "it goes on"
        expect = "next"
        [[case]]
        name = "it does not"
        request = { headers = { X-Trap = "1" } }
        expect = "next"
        "#,
    );
    for words in ["ok   it goes on", "FAIL it does not", "plugin.trap", "this guest traps", "1 of 2 cases failed"] {
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
}

#[test]
fn one_wrong_value_is_named_by_its_place() {
    let cases = root().join("plugins/origin-check/cases.toml");
    let wrong = std::fs::read_to_string(cases).unwrap().replace("status = 403, body", "status = 401, body");
    let dir = TempDir::new();
    let file = dir.write("cases.toml", wrong.as_bytes()).display().to_string();
    let component = root().join("plugins/dist/origin-check.wasm").display().to_string();
    let arguments = ["plugin", "test", &file, "--component", &component, "--json", "--filter", "another"];
    let output = Binary::output(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["cases"], &found["failed"]), (&1.into(), &1.into()), "the filter leaves one: {found}");
    let mismatch = &found["files"][0]["cases"][0]["mismatches"][0];
    assert_eq!(mismatch["path"], "deny.status");
    assert_eq!((&mismatch["expected"], &mismatch["actual"]), (&401.into(), &403.into()));
}

#[test]
fn a_file_that_proves_nothing_is_refused() {
    for (cases, words) in [
        ("", "no `[[case]]`"),
        ("[[case]]\nname = \"a\"\n", "without `expect`"),
        ("[[case]]\nname = \"a\"\nexpect = \"next\"\n[[case]]\nname = \"a\"\nexpect = \"next\"\n", "two cases"),
        ("[[case]]\nname = \"a\"\nexpcet = \"next\"\n", "expcet"),
        ("[[case]]\nname = \"a\"\nhook = \"origin\"\nexpect = \"next\"\n", "no hook `origin`"),
        ("[[case]]\nname = \"a\"\nexpect = \"next\"\nrequest = { path = \"/../x\" }\n", "leaves the root"),
        ("[[case]]\nname = \"a\"\nexpect = \"refused\"\n", "refused"),
    ] {
        let said = fails("trap", cases);
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
    assert!(!run("trap", "[[case]]\nname = \"a\"\nexpect = \"next\"\n", &["--filter", "zzz"]).status.success());
}

#[test]
fn requests_of_the_plugin_are_answered_by_the_case() {
    let dir = TempDir::new();
    let cases = serde_json::json!({
        "component": root().join("plugins/dist/auth-request.wasm"),
        "deadline": "1s",
        "config": { "destination": "upstream:auth", "path": "/v", "timeout_ms": 100 },
        "case": [
            { "name": "yes", "http": [{ "url": "~/v$", "method": "GET" }], "expect": { "grant": {}, "requests": [{ "url": "upstream:auth/v" }] } },
            { "name": "no", "http": [{ "url": "upstream:auth/v", "status": 403 }], "expect": { "deny": { "status": 403 } } },
        ],
    });
    let file = dir.write("cases.json", cases.to_string().as_bytes()).display().to_string();
    let output = Binary::output(&["plugin", "test", &file]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn calls_are_measured_step_by_step() {
    let file = root().join("plugins/access-list/cases.toml").display().to_string();
    let output = Binary::output(&["plugin", "bench", &file, "--time", "20ms", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = found[0]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5, "a refused configuration has no calls: {found}");
    for step in steps {
        assert_eq!(step["hook"], "authorizer");
        let of = |key: &str| step[key].as_u64().unwrap();
        assert!(of("calls") > 0 && of("least_ns") > 0 && of("least_ns") <= of("median_ns"), "{step}");
        assert!(of("median_ns") <= of("p99_ns") && of("memory") >= 1 << 16, "{step}");
    }
    assert!(found[0]["start_ns"].as_u64().unwrap() > 0 && found[0]["start_memory"].as_u64().unwrap() >= 1 << 16);
}

/// The build copies the component whose name stands in a file.
#[test]
fn dev_builds_and_swaps_what_changes_and_keeps_the_old_where_that_fails() {
    let backend = Backend::http(|request| {
        Response::text(format!("x-greeting: {}", request.head.get("x-greeting").unwrap_or("-")))
    });
    let dir = TempDir::new();
    dir.write("which.txt", guest("greeter"));
    let config = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[plugins.p]\ncomponent = \"made.wasm\"\nconfig = {{ greeting = \"one\" }}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"{}\"\nplugins = [\"p\"]\n",
        backend.address()
    );
    let file = dir.write("tidegate.toml", &config);
    let folder = dir.path().display().to_string();
    let mut command = Binary::command();
    command.args(["plugin", "dev", &folder, "--build", "cp \"$(cat which.txt)\" made.wasm"]);
    let dev = Binary::start(&mut command, None, 1).unwrap();
    eventually("it watches", || dev.stderr().contains("watching"));
    let address = dev.addresses()[0];
    let greeting = |words: &str| {
        let mut wire = Wire::connect(address);
        wire.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let (head, body) = wire.read_response();
        (head.status(), body.text().to_ascii_lowercase().contains(words))
    };
    assert_eq!(greeting("x-greeting: one"), (200, true));
    // The configuration alone.
    std::fs::write(&file, config.replace("\"one\"", "\"two\"")).unwrap();
    eventually("the configuration is reloaded", || greeting("x-greeting: two") == (200, true));
    // A source that does not build.
    dir.write("which.txt", "/nowhere/x.wasm");
    eventually("the build fails", || dev.stderr().contains("not built"));
    assert_eq!(greeting("x-greeting: two"), (200, true), "the old plugin stays in use");
    // One that builds, and does not load with this configuration.
    dir.write("which.txt", guest("bad-config"));
    eventually("the reload is refused", || dev.stderr().contains("not reloaded"));
    assert_eq!(greeting("x-greeting: two"), (200, true), "the old plugin stays in use");
    // One that does.
    std::fs::write(&file, config.replace("{ greeting = \"one\" }", "{ always = false }")).unwrap();
    dir.write("which.txt", guest("trap"));
    eventually("another plugin is in use", || greeting("x-greeting: -") == (200, true));
}

#[test]
fn the_frozen_contract_is_served_as_ever() {
    let cases = root().join("tests/contract/0.1.0/cases.toml").display().to_string();
    let output = Binary::output(&["plugin", "test", &cases]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn check_names_every_wrong_value_of_a_plugin_by_its_schema() {
    let dir = TempDir::new();
    let component = root().join("plugins/dist/cors.wasm").canonicalize().unwrap();
    let config = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[plugins.p]\ncomponent = {component:?}\n[plugins.p.config]\n\
         origins = [\"https://a.test\", 7]\nmax_agee = 10\ncredentials = \"yes\"\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:9\"\nplugins = [\"p\"]\n"
    );
    let file = dir.write("tidegate.toml", config).display().to_string();
    let output = Binary::output(&["check", "-c", &file]);
    assert!(!output.status.success());
    let said = text(&output.stderr);
    for line in [
        ":6:30: plugins.p.config.origins[1]: plugin `p`: must be a string, and is a number",
        ":7:12: plugins.p.config.max_agee: plugin `p`: unknown key `max_agee`: is `max_age` meant?",
        ":8:15: plugins.p.config.credentials: plugin `p`: must be a boolean, and is a string",
    ] {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
}

#[test]
fn inspect_shows_grants_schema_and_what_differs() {
    let path = |name: &str| root().join("plugins/dist").join(name).display().to_string();
    let output = Binary::output(&["plugin", "inspect", &path("auth-request.wasm"), "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["hooks"], serde_json::json!(["authorizer"]));
    assert!(found["grants"][0].as_str().unwrap().starts_with("http-client:"), "{found}");
    assert_eq!(found["schema"]["properties"]["timeout_ms"]["type"], "integer");
    assert!(found["memory"].as_u64().unwrap() >= 1 << 16);
    let output = Binary::output(&["plugin", "inspect", &path("access-list.wasm"), &path("auth-request.wasm")]);
    let said = text(&output.stdout);
    for words in
        ["+ imports: tidegate:plugin/http-client@0.1.0", "+ grants: http-client:", "! it can do more", "lane: sync"]
    {
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
    let said = text(&Binary::output(&["plugin", "inspect", &path("cors.wasm")]).stdout);
    assert!(said.contains("origins: array, required: Origins"), "{said}");
}

/// A hundred cases, of which each has an instance of its own.
#[test]
fn a_hundred_cases_are_run_in_one_go() {
    let case = |number: usize| {
        format!("[[case]]\nname = \"{number}\"\nrequest = {{ client = \"192.168.1.{number}\" }}\nexpect = \"next\"\n")
    };
    let cases: String = (0..100).map(case).collect();
    let head = format!(
        "component = {:?}\nconfig = {{ rules = [\"allow 192.168.1.0/24\", \"deny all\"] }}\n",
        root().join("plugins/dist/access-list.wasm").canonicalize().unwrap()
    );
    let dir = TempDir::new();
    let file = dir.write("cases.toml", head + &cases).display().to_string();
    let output = Binary::output(&["plugin", "test", &file]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("100 cases in "), "{said}");
}
