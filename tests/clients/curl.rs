//! curl with the guides' handshakes: "The 101 response is the success signal; the timeout
//! only closes the manual test connection after the header check."

use std::process::Command;

use tidegate_tests::tools::{run, system};
use tidegate_tests::{Backend, Subject, TempDir, both};

both!(the_handshake_of_the_proxying_guide, the_handshake_of_the_troubleshooting_guide, plain_requests);

fn curl() -> Command {
    Command::new(system("curl", "curl"))
}

/// Its key is "Hello, world!": 13 bytes.
fn the_handshake_of_the_proxying_guide(subject: Subject) {
    let (dir, backend) = (TempDir::new(), Backend::ws_echo());
    let proxy = subject.before(backend.address());
    let mut command = curl();
    command.args(["-v", "-N", "--max-time", "1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"]);
    command.args(["-H", "Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==", "-H", "Sec-WebSocket-Version: 13"]);
    command.arg(format!("http://{}/ws/", proxy.address()));
    let output = run(&mut command, dir.path());
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(said.contains("< http/1.1 101 switching protocols"), "{said}");
    assert!(said.contains("< upgrade: websocket"), "{said}");
    assert!(said.contains("< connection: upgrade"), "{said}");
    assert!(
        said.contains(&format!(
            "< sec-websocket-accept: {}",
            tidegate_tests::ws::accept("SGVsbG8sIHdvcmxkIQ==").to_lowercase()
        )),
        "{said}"
    );
    assert_eq!(backend.only_head().target(), "/ws/");
}

fn the_handshake_of_the_troubleshooting_guide(subject: Subject) {
    let (dir, backend) = (TempDir::new(), Backend::ws_echo());
    let proxy = subject.before(backend.address());
    let mut command = curl();
    command.args(["--http1.1", "--no-progress-meter", "-i", "-N", "--max-time", "1"]);
    command.args(["-H", "Host: example.com", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"]);
    command.args(["-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="]);
    command.arg(format!("http://{}/ws", proxy.address()));
    let output = run(&mut command, dir.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("HTTP/1.1 101"), "{said}");
    assert!(said.contains("HSmrc0sMlYUkAGmm5OPpG2HaGWk="), "{said}");
    assert_eq!(backend.only_head().get("host"), Some("example.com"));
}

fn plain_requests(subject: Subject) {
    let (dir, backend) = (TempDir::new(), Backend::http(|request| tidegate_tests::Response::text(&request.body.data)));
    let proxy = subject.before(backend.address());
    let large = dir.write("large", tidegate_tests::Noise::new(61).take(3 << 20));
    let mut command = curl();
    command.args([
        "--no-progress-meter",
        "--fail",
        "--max-time",
        "30",
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
    ]);
    command.arg(format!("@{}", large.display())).arg(format!("http://{}/", proxy.address()));
    let output = run(&mut command, dir.path());
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == std::fs::read(large).unwrap(), "{} bytes came back", output.stdout.len());
}
