//! npm `ws`, as client and as server.

use std::net::SocketAddr;
use std::process::Command;

use tidegate_tests::tools::{node_modules, system};
use tidegate_tests::{Backend, Proxy, Subject, TempDir, both};

use crate::{inspected, succeed};

both!(client_before_our_backend, client_and_server_with_compression);

/// Talks to `argv[2]`: texts, a large binary, a ping, fragments, an orderly close.
const CLIENT: &str = r#"
const assert = require('node:assert');
const crypto = require('node:crypto');
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], ['chat.v2', 'chat.v1'], {
  perMessageDeflate: process.argv[3] === 'deflate',
  origin: 'https://app.example.com',
  headers: { 'X-Token': 'secret' },
});
const next = () => new Promise((resolve, reject) => {
  ws.once('message', (data, isBinary) => resolve(isBinary ? data : data.toString()));
  ws.once('close', (code) => reject(new Error('closed with ' + code)));
});
ws.on('error', (error) => { console.error(error); process.exit(1); });
ws.on('open', async () => {
  try {
    assert.equal(ws.protocol, 'chat.v2');
    assert.equal(ws.extensions.includes('permessage-deflate'), process.argv[3] === 'deflate');
    for (const text of ['hello', '', 'gr\u00fc\u00dfe \u{1F30A}', 'x'.repeat(100000)]) {
      const answer = next();
      ws.send(text);
      assert.equal(await answer, text);
    }
    const bytes = crypto.randomBytes(3 << 20);
    let answer = next();
    ws.send(bytes);
    assert(bytes.equals(await answer));
    answer = next();
    ws.send('in ', { fin: false });
    ws.send('three ', { fin: false });
    ws.send('parts', { fin: true });
    assert.equal(await answer, 'in three parts');
    const pong = new Promise((resolve) => ws.once('pong', resolve));
    ws.ping('are you there');
    assert.equal((await pong).toString(), 'are you there');
    ws.removeAllListeners('close');
    ws.once('close', (code) => { console.log('closed', code); process.exit(0); });
    ws.close(1000);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
"#;

/// Echoes whole messages; says at which port.
const SERVER: &str = r#"
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({
  host: '127.0.0.1', port: 0, perMessageDeflate: true, handleProtocols: (asked) => [...asked][0],
}, () => require('node:fs').writeFileSync(process.argv[2], String(server.address().port) + '\n'));
server.on('connection', (ws, request) => {
  if (request.headers['x-token'] !== 'secret') ws.close(1008);
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
});
"#;

fn node(dir: &TempDir, name: &str, script: &str) -> Command {
    let mut command = Command::new(system("node", "nodejs"));
    command.env("NODE_PATH", node_modules()).arg(dir.write(name, script));
    command
}

fn talk(dir: &TempDir, proxy: &Proxy, more: &str) {
    let url = format!("ws://{}/ws", proxy.address());
    let said = succeed(node(dir, "client.js", CLIENT).arg(url).arg(more), dir.path());
    assert_eq!(said, "closed 1000\n");
}

/// Our backend sends frames back as they come, so fragments come back as fragments.
fn client_before_our_backend(subject: Subject) {
    let dir = TempDir::new();
    let backend = Backend::ws_echo_with("Sec-WebSocket-Protocol: chat.v2\r\n");
    let proxy = subject.before(backend.address());
    talk(&dir, &proxy, "plain");
    assert_eq!(backend.only_head().get("x-token"), Some("secret"));
    assert_eq!(backend.only_head().get("origin"), Some("https://app.example.com"));
}

/// Ends the server with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Start a server, and wait until it listens.
fn serve(dir: &TempDir, script: &str) -> (Server, SocketAddr) {
    let port_file = dir.path().join("port");
    let server = Server(node(dir, "server.js", script).arg(&port_file).spawn().expect("run node"));
    let port: u16 = tidegate_tests::wait_for("the server's port", || {
        dir.read("port").strip_suffix('\n').and_then(|port| port.parse().ok())
    });
    (server, ([127, 0, 0, 1], port).into())
}

fn client_and_server_with_compression(subject: Subject) {
    let dir = TempDir::new();
    let (_server, address) = serve(&dir, SERVER);
    let proxy = subject.before(address);
    talk(&dir, &proxy, "deflate");
}

/// Compressed messages through a plugin that wants to see all of them, with and without windows that
/// last, and through one that answers for itself.
#[test]
fn compressed_messages_through_a_plugin() {
    let server_of = |options: &str| SERVER.replace("perMessageDeflate: true", &format!("perMessageDeflate: {options}"));
    for options in [
        "true",
        "{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }",
        "{ threshold: 0, serverMaxWindowBits: 10, clientMaxWindowBits: 11 }",
    ] {
        let dir = TempDir::new();
        let (_server, address) = serve(&dir, &server_of(options));
        let proxy = inspected(address);
        talk(&dir, &proxy, "deflate");
        talk(&dir, &proxy, "");
    }
}
