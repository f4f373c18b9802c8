//! The commands of the real binary.

use std::path::PathBuf;
use std::process::Output;

use rustix::process::Signal;
use tidegate_tests::subject::Binary;
use tidegate_tests::ws::Frame;
use tidegate_tests::{Backend, TempDir, Wire, eventually};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn get(wire: &mut Wire, path: &str) -> (u16, String) {
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (head, body) = wire.read_response();
    (head.status(), body.text())
}

#[test]
fn demo_serves_a_page_and_an_echo() {
    let demo = Binary::start(Binary::command().args(["demo", "--listen", "127.0.0.1:0"]), None, 1).unwrap();
    let address = demo.addresses()[0];
    eventually("what to open", || demo.stdout().contains(&format!("http://{address}/")));
    let said = demo.stdout();
    assert!(said.contains("curl") && said.contains("/ws"), "{said}");
    let mut client = Wire::connect(address);
    let (status, page) = get(&mut client, "/");
    assert_eq!(status, 200);
    assert!(page.contains("<html") && page.contains("WebSocket"), "{page}");
    let mut client = Wire::connect(address);
    client.upgrade("/ws");
    client.echo(&Frame::text("hello"));
    client.echo(&Frame::binary(&vec![3; 100_000]));
    client.echo(&Frame::close(1000));
    client.expect_close();
}

#[test]
fn demo_before_a_backend_of_yours() {
    let backend = Backend::ws_echo();
    let upstream = backend.address().to_string();
    let mut command = Binary::command();
    command.args(["demo", "--listen", "127.0.0.1:0", "--upstream", &upstream]);
    let demo = Binary::start(&mut command, None, 1).unwrap();
    let mut client = Wire::connect(demo.addresses()[0]);
    assert_eq!(get(&mut client, "/anything"), (200, "plain".to_owned()));
    client.upgrade("/ws");
    client.echo(&Frame::text("hello"));
    assert_eq!(backend.heads()[0].start, "GET /anything HTTP/1.1");
}

#[test]
fn run_reads_standard_input() {
    let backend = Backend::named("from stdin");
    let config = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"{}\"\n",
        backend.address()
    );
    let running = Binary::start(Binary::command().args(["run", "-c", "-"]), Some(&config), 1).unwrap();
    let mut client = Wire::connect(running.addresses()[0]);
    assert_eq!(get(&mut client, "/"), (200, "from stdin".to_owned()));
}

#[test]
fn run_writes_a_pid_file_and_takes_it_away() {
    let dir = TempDir::new();
    dir.write(
        "tidegate.toml",
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n",
    );
    let mut command = Binary::command();
    command.current_dir(dir.path()).args(["run", "-c", "tidegate.toml", "--pid-file", "the.pid"]);
    let mut running = Binary::start(&mut command, None, 1).unwrap();
    let id = running.id().to_string();
    eventually("the pid file", || dir.read("the.pid").trim() == id);
    running.signal(Signal::TERM);
    assert!(running.wait().success());
    assert!(!dir.path().join("the.pid").exists(), "the pid file is left");
}

fn check(config: &str) -> (Output, TempDir) {
    let dir = TempDir::new();
    dir.write("tidegate.toml", config);
    let output = Binary::command().current_dir(dir.path()).args(["check", "-c", "tidegate.toml"]).output().unwrap();
    (output, dir)
}

const GOOD: &str = r#"
[[listeners]]
address = "127.0.0.1:8080"
[[sites]]
[[sites.routes]]
match = "/ws"
upstream = "127.0.0.1:9000"
"#;

#[test]
fn check_finds_nothing_wrong() {
    let (output, _dir) = check(GOOD);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("tidegate.toml"), "{output:?}");
}

#[test]
fn check_reports_every_problem_with_its_place() {
    let (output, _dir) = check(
        r#"[[listeners]]
address = "127.0.0.1:99999"
[[sites]]
naems = ["ws.example.com"]
[[sites.routes]]
match = "/ws"
upstream = "chat"
timeouts = { read = "60 parsecs" }
[upstreams.chta]
peers = ["127.0.0.1:9000"]
"#,
    );
    assert!(!output.status.success());
    let said = text(&output.stderr) + &text(&output.stdout);
    for place in ["tidegate.toml:2:", "tidegate.toml:4:", "tidegate.toml:7:", "tidegate.toml:8:"] {
        assert!(said.contains(place), "{place} is missing:\n{said}");
    }
    for word in ["naems", "names", "chat", "chta", "60 parsecs"] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
}

#[test]
fn check_asks_the_plugins() {
    let config = format!("{}\nauth_basic = {{ realm = \"x\", users = \"bob:$9$what\" }}\n", GOOD.trim_end());
    let (output, _dir) = check(&config);
    assert!(!output.status.success(), "{output:?}");
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(said.contains("tidegate.toml:8:"), "{said}");
    assert!(said.contains("bob") || said.contains("line 1"), "{said}");
}

#[test]
fn check_names_the_file_that_is_missing() {
    let missing = Binary::output(&["check", "-c", "/nowhere/tidegate.toml"]);
    assert!(!missing.status.success());
    assert!(text(&missing.stderr).contains("/nowhere/tidegate.toml"), "{missing:?}");
}

#[test]
fn run_refuses_what_check_refuses() {
    let dir = TempDir::new();
    dir.write("tidegate.toml", GOOD.replace("match", "mathc"));
    let refused = Binary::run(dir.path(), 1).err().expect("a bad configuration does not run");
    assert!(refused.contains("tidegate.toml:5:") || refused.contains("tidegate.toml:6:"), "{refused}");
    assert!(refused.contains("mathc"), "{refused}");
}

#[test]
fn run_refuses_an_address_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new();
    dir.write("tidegate.toml", GOOD.replace("127.0.0.1:8080", &address));
    let refused = Binary::run(dir.path(), 1).err().expect("a taken address is refused");
    assert!(refused.contains(&address), "{refused}");
}

fn dist(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist").join(name).display().to_string()
}

#[test]
fn plugin_inspect_describes_the_stock_ones() {
    for (name, hook) in [
        ("router", "router"),
        ("header-map", "request-headers"),
        ("origin-check", "origin"),
        ("cors", "response-headers"),
        ("access-list", "authorizer"),
        ("auth-basic", "authorizer"),
    ] {
        let path = dist(&format!("{name}.wasm"));
        let output = Binary::output(&["plugin", "inspect", &path]);
        assert!(output.status.success(), "{output:?}");
        let said = text(&output.stdout);
        let size = std::fs::metadata(&path).unwrap().len().to_string();
        for word in [hook, "0.1.0", &size, "imports"] {
            assert!(said.contains(word), "{word} is missing:\n{said}");
        }
    }
}

#[test]
fn plugin_inspect_refuses_what_is_no_component() {
    let dir = TempDir::new();
    let path = dir.write("x.wasm", b"\0asm\x01\0\0\0").display().to_string();
    let module = Binary::output(&["plugin", "inspect", &path]);
    assert!(!module.status.success());
    assert!(text(&module.stderr).contains("x.wasm"), "{module:?}");
    assert!(!Binary::output(&["plugin", "inspect", "/nowhere/x.wasm"]).status.success());
}

#[test]
fn wrong_command_lines_are_told_apart() {
    assert_eq!(Binary::output(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(Binary::output(&["reload"]).status.code(), Some(2));
    let version = Binary::output(&["--version"]);
    assert!(version.status.success());
    assert!(text(&version.stdout).starts_with("tidegate 0."), "{version:?}");
}
