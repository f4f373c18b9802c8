//! chromium without a window: a page that it fetches through the proxy talks to a WebSocket
//! through the same proxy, and the result stands in the page.

use std::process::Command;

use tidegate_tests::subject::Binary;
use tidegate_tests::tools::system;
use tidegate_tests::{Backend, Response, Subject, TempDir, both};

use crate::succeed;

both!(a_page_of_ours);

/// The page's DOM after its scripts have run for a while of virtual time.
fn dump_dom(url: &str) -> String {
    let dir = TempDir::new();
    let mut command = Command::new(system("chromium", "chromium"));
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", dir.path().join("profile").display()));
    // Virtual time stands still while something is under way on the network.
    command.args(["--virtual-time-budget=5000", "--dump-dom", url]);
    succeed(&mut command, dir.path())
}

const PAGE: &str = r#"<!doctype html><html><body><ol id="log"></ol><script>
const note = (text) => { const li = document.createElement('li'); li.textContent = text; document.getElementById('log').append(li); };
const ws = new WebSocket(`ws://${location.host}/ws`, ['chat.v2']);
ws.binaryType = 'arraybuffer';
ws.onopen = () => { note(`open ${ws.protocol}`); ws.send('hello'); };
ws.onmessage = (event) => {
  if (typeof event.data === 'string') { note(`text ${event.data}`); ws.send(new Uint8Array(70000).fill(7)); }
  else { note(`bytes ${event.data.byteLength}`); ws.close(1000, 'done'); }
};
ws.onclose = (event) => note(`closed ${event.code} ${event.wasClean}`);
</script></body></html>"#;

fn a_page_of_ours(subject: Subject) {
    let pages = Backend::http(|_| Response::text(PAGE).header("Content-Type", "text/html; charset=utf-8"));
    let sockets = Backend::ws_echo_with("Sec-WebSocket-Protocol: chat.v2\r\n");
    let proxy = subject
        .setup()
        .nginx(
            "location / { proxy_pass http://%pages%; %guide% } location /ws { proxy_pass http://%sockets%; %guide% }",
        )
        .tidegate(
            r#"
            [[sites]]
            [[sites.routes]]
            match = "/"
            upstream = "%pages%"
            [[sites.routes]]
            match = "/ws"
            upstream = "%sockets%"
            "#,
        )
        .var("pages", pages.address())
        .var("sockets", sockets.address())
        .start();
    let dom = dump_dom(&format!("http://{}/", proxy.address()));
    for line in ["open chat.v2", "text hello", "bytes 70000", "closed 1000 true"] {
        assert!(dom.contains(&format!("<li>{line}</li>")), "{line} is missing:\n{dom}");
    }
}

/// The README's first command, and what a stranger then sees in a browser.
#[test]
fn the_demo_page() {
    let demo = Binary::start(Binary::command().args(["demo", "--listen", "127.0.0.1:0"]), None, 1).unwrap();
    let dom = dump_dom(&format!("http://{}/", demo.addresses()[0]));
    assert!(dom.contains("data-state=\"open\""), "the tunnel is not open:\n{dom}");
    for line in ["sent: hello from the page", "received: hello from the page"] {
        assert!(dom.contains(line), "{line} is missing:\n{dom}");
    }
}
