//! chromium without a window: a page that it fetches through the proxy talks to a WebSocket
//! through the same proxy, and the result stands in the page.

use std::process::{Child, Command, Stdio};

use tidegate_tests::cell::{Down, Peer, Trust, Up, echo_frames};
use tidegate_tests::subject::Binary;
use tidegate_tests::tools::system;
use tidegate_tests::ws::{Frame, handshake};
use tidegate_tests::{Backend, Response, Subject, TempDir, Wire, both, wait_for};

both!(a_page_of_ours);

/// A chromium that shows one page, asked about it through its debugging port.
struct Browser {
    child: Child,
    page: Wire,
    _profile: TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        Self::open_with(url, &["--disable-quic"])
    }

    fn open_with(url: &str, options: &[&str]) -> Self {
        let profile = TempDir::new();
        let log = std::fs::File::create(profile.path().join("chromium.log")).expect("a file for chromium's log");
        let child = Command::new(system("chromium", "chromium"))
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(options)
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("run chromium");
        let mut child = Kill(Some(child));
        let port: u16 = wait_for("chromium's debugging port", || {
            profile.read("profile/DevToolsActivePort").split_once('\n')?.0.parse().ok()
        });
        let address = ([127, 0, 0, 1], port).into();
        let path = wait_for("chromium's page", || {
            let mut wire = Wire::connect(address);
            wire.send(format!("GET /json/list HTTP/1.1\r\nHost: {address}\r\n\r\n"));
            page_of(&wire.read_response().1.text(), url)
        });
        let mut page = Wire::connect(address);
        page.send(handshake(&path, "").replace("ws.example.com", &address.to_string()));
        assert_eq!(page.read_head().status(), 101);
        Self { child: child.0.take().expect("chromium"), page, _profile: profile }
    }

    /// The page as it is now.
    fn dom(&mut self) -> String {
        let ask =
            r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"document.documentElement.outerHTML"}}"#;
        self.page.send(Frame::text(ask).masked());
        let answer = self.page.read_frame();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).expect("JSON from chromium");
        answer["result"]["result"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Wait until the page has all of these.
    #[track_caller]
    fn shows(&mut self, wanted: &[String]) {
        let mut dom = String::new();
        let deadline = std::time::Instant::now() + tidegate_tests::patience();
        let done = wait_for("the page, or the end of patience", || {
            dom = self.dom();
            let all = wanted.iter().all(|text| dom.contains(text));
            (all || std::time::Instant::now() + std::time::Duration::from_secs(1) > deadline).then_some(all)
        });
        assert!(done, "the page does not come to show {wanted:?}:\n{dom}");
    }
}

/// Where to ask about the page at `url`, out of chromium's list of pages.
fn page_of(list: &str, url: &str) -> Option<String> {
    let list: serde_json::Value = serde_json::from_str(list).ok()?;
    let page = list.as_array()?.iter().find(|page| page["type"] == "page" && page["url"] == url)?;
    let (_, path) = page["webSocketDebuggerUrl"].as_str()?.strip_prefix("ws://")?.split_once('/')?;
    Some(format!("/{path}"))
}

/// Ends a process that a failed start would leave.
struct Kill(Option<Child>);

impl Drop for Kill {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PAGE: &str = r#"<!doctype html><html><body><ol id="log"></ol><script>
const note = (text) => { const li = document.createElement('li'); li.textContent = text; document.getElementById('log').append(li); };
const ws = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}/ws`, ['chat.v2']);
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
    let mut browser = Browser::open(&format!("http://{}/", proxy.address()));
    let lines = ["open chat.v2", "text hello", "bytes 70000", "closed 1000 true"];
    browser.shows(&lines.map(|line| format!("<li>{line}</li>")));
}

/// Over TLS a page and its WebSocket share a connection of HTTP/2 (RFC 8441), and chromium's
/// offer of a key exchange that resists quantum computers is taken.
#[test]
fn a_websocket_over_http2() {
    let pages = Backend::http(|_| Response::text(PAGE).header("Content-Type", "text/html; charset=utf-8"));
    for up in [Up::H1, Up::H2] {
        let trust = Trust::new();
        let sockets = Peer::serve(up, &trust.certified, |asking| async move {
            assert_eq!(asking.line("sec-websocket-protocol"), "chat.v2");
            assert!(asking.line("origin").starts_with("https://localhost:"));
            echo_frames(&mut asking.accept(&[("sec-websocket-protocol", "chat.v2")]).await).await;
        });
        let text = format!(
            "[log_formats.short]\ntemplate = \"$connection $server_protocol $request_method $request_uri $status \
             $ssl_curve\"\n[access_log]\npath = \"access.log\"\nformat = \"short\"\ntunnel_opening = true\n\
             [upstreams.sockets]\nprotocol = \"{}\"\npeers = [\"{}\"]\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
             upstream = \"{}\"\n[[sites.routes]]\nmatch = \"/ws\"\nupstream = \"sockets\"\n",
            if up.is_h2() { "h2" } else { "h1" },
            sockets.address(),
            pages.address(),
        );
        let running = Down::H2Tls.proxy_trusting(trust, &text, |setup| setup);
        let key = format!("--ignore-certificate-errors-spki-list={}", running.trust.certified.key_digest());
        let url = format!("https://localhost:{}/", running.proxy.address().port());
        let mut browser = Browser::open_with(&url, &["--disable-quic", &key]);
        // Chromium sends END_STREAM with its close frame, and waits for the peer's.
        let lines = ["open chat.v2", "text hello", "bytes 70000", "closed 1000 true"];
        browser.shows(&lines.map(|line| format!("<li>{line}</li>")));
        let log = wait_for("the tunnel's lines", || {
            let log = running.proxy.read_file("access.log");
            (log.matches(" /ws ").count() == 2).then_some(log)
        });
        let of = |path: &str| log.lines().find(|line| line.contains(path)).expect(path).to_owned();
        let (page, tunnel) = (of(" GET / "), of(" /ws "));
        let (connection, rest) = tunnel.split_once(' ').unwrap();
        assert!(page.starts_with(&format!("{connection} HTTP/2.0 GET / 200")), "one connection for both:\n{log}");
        assert!(rest.starts_with("HTTP/2.0 GET /ws 101"), "{log}");
        assert!(page.ends_with("X25519MLKEM768"), "{log}");
        drop((browser, running));
        sockets.join();
    }
}

/// The page comes over HTTP/3, and its WebSocket opens beside it: chromium has no WebSockets over
/// HTTP/3 (RFC 9220) yet, and takes a connection over TCP for it.
#[test]
fn a_page_over_http3() {
    let pages = Backend::http(|_| Response::text(PAGE).header("Content-Type", "text/html; charset=utf-8"));
    let sockets = Backend::ws_echo_with("Sec-WebSocket-Protocol: chat.v2\r\n");
    let text = format!(
        "[log_formats.short]\ntemplate = \"$server_protocol $request_method $request_uri $status $ssl_curve\"\n\
         [access_log]\npath = \"access.log\"\nformat = \"short\"\ntunnel_opening = true\n[[sites]]\n\
         [[sites.routes]]\nmatch = \"/\"\nupstream = \"http://{}\"\n[[sites.routes]]\nmatch = \"/ws\"\n\
         upstream = \"http://{}\"\n",
        pages.address(),
        sockets.address(),
    );
    let running = Down::H3.proxy_trusting(Trust::new(), &text, |setup| setup);
    let port = running.proxy.address().port();
    let key = format!("--ignore-certificate-errors-spki-list={}", running.trust.certified.key_digest());
    let quic = format!("--origin-to-force-quic-on=localhost:{port}");
    let url = format!("https://localhost:{port}/");
    // Names of this machine may also be ::1, where nothing listens.
    let at = "--host-resolver-rules=MAP localhost 127.0.0.1";
    let mut browser = Browser::open_with(&url, &["--enable-quic", at, &quic, &key]);
    let lines = ["open chat.v2", "text hello", "bytes 70000", "closed 1000 true"];
    browser.shows(&lines.map(|line| format!("<li>{line}</li>")));
    let log = wait_for("the tunnel's lines", || {
        let log = running.proxy.read_file("access.log");
        (log.matches(" /ws ").count() == 2).then_some(log)
    });
    let page = log.lines().find(|line| line.contains(" GET / ")).expect("the page's line");
    assert!(page.starts_with("HTTP/3.0 GET / 200"), "{log}");
    let tunnel = log.lines().find(|line| line.contains(" /ws ")).expect("the tunnel's line");
    assert!(tunnel.contains(" GET /ws 101 "), "{log}");
}

/// The README's first command, and what a stranger then sees in a browser.
#[test]
fn the_demo_page() {
    let demo = Binary::start(Binary::command().args(["demo", "--listen", "127.0.0.1:0"]), None, 1).unwrap();
    let mut browser = Browser::open(&format!("http://{}/", demo.addresses()[0]));
    let texts = ["data-state=\"open\"", "sent: hello from the page", "received: hello from the page"];
    browser.shows(&texts.map(str::to_owned));
}
