//! Clients of HTTP/2 that others made: curl, nghttp, h2load, Python's `h2` and `httpx`, node.

use std::process::Command;

use tidegate_tests::cell::{Answer, Cell, Down, MessagePeer, Peer, Running, Trust, Up, echo_frames};
use tidegate_tests::tools::{python, run, system};
use tidegate_tests::{Noise, TempDir};

use crate::succeed;

/// A proxy before a peer that sends back bodies, and says hello where there is none.
fn echoing(down: Down, up: Up) -> (Running, MessagePeer) {
    let trust = Trust::new();
    let peer = MessagePeer::serve(up, &trust, |asked| match asked.body.as_slice() {
        [] => Answer::with("hello"),
        body => Answer::with(body),
    });
    (Cell { down, up }.before(trust, peer.address(), ""), peer)
}

/// A proxy before a peer that sends back messages.
fn tunneling(up: Up) -> (Running, Peer) {
    let trust = Trust::new();
    let peer = Peer::serve(up, &trust.certified, |asking| async move {
        assert_eq!((asking.target.as_str(), asking.line("sec-websocket-protocol")), ("/ws", "chat.v2"));
        echo_frames(&mut asking.accept(&[("sec-websocket-protocol", "chat.v2")]).await).await;
    });
    (Cell { down: Down::H2Tls, up }.before(trust, peer.address(), ""), peer)
}

fn url(running: &Running) -> String {
    format!("{}://localhost:{}", running.down.scheme(), running.proxy.address().port())
}

#[test]
fn curl() {
    for up in [Up::H1, Up::H2] {
        for (down, option, version) in [
            (Down::H2Tls, "--http2", "2"),
            (Down::H2, "--http2-prior-knowledge", "2"),
            (Down::H2Tls, "--http1.1", "1.1"),
        ] {
            let (dir, (running, peer)) = (TempDir::new(), echoing(down, up));
            let large = dir.write("large", Noise::new(81).take(3 << 20));
            let mut command = Command::new(system("curl", "curl"));
            command.args([option, "--no-progress-meter", "--fail", "--max-time", "30", "--data-binary"]);
            command.arg(format!("@{}", large.display())).args(["-w", "%{stderr}%{http_version}", "--cacert"]);
            command.arg(running.proxy.dir().join("ca.pem")).arg(format!("{}/", url(&running)));
            let output = run(&mut command, dir.path());
            assert_eq!(String::from_utf8_lossy(&output.stderr), version, "{down:?}");
            assert!(output.stdout == std::fs::read(large).unwrap(), "{} bytes came back", output.stdout.len());
            drop(running);
            peer.join();
        }
    }
}

#[test]
fn nghttp() {
    for down in [Down::H2, Down::H2Tls] {
        let (dir, (running, peer)) = (TempDir::new(), echoing(down, Up::H2));
        let mut command = Command::new(system("nghttp", "nghttp2-client"));
        // Its warning about a certificate that it does not know goes to stderr.
        command.args(["--no-dep", "-v", "-y", &format!("{}/a", url(&running)), &format!("{}/b", url(&running))]);
        let said = succeed(&mut command, dir.path());
        assert_eq!(said.matches(":status: 200").count(), 2, "{said}");
        assert_eq!(said.matches("hello").count(), 2, "{said}");
        assert!(said.contains("SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1"), "{said}");
        drop(running);
        peer.join();
    }
}

/// Many streams on few connections: none is refused, none is lost.
#[test]
fn h2load() {
    for (down, more) in [(Down::H2, &[][..]), (Down::H2Tls, &[]), (Down::H2Tls, &["--h1"])] {
        let (dir, (running, peer)) = (TempDir::new(), echoing(down, Up::H1));
        let mut command = Command::new(system("h2load", "nghttp2-client"));
        command.args(["-n", "2000", "-c", "4", "-m", "100"]).args(more).arg(format!("{}/", url(&running)));
        let said = succeed(&mut command, dir.path());
        let all = "requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(said.contains(all) && said.contains("status codes: 2000 2xx"), "{said}");
        drop(running);
        peer.join();
    }
}

const HTTPX: &str = r#"
import asyncio, os, ssl, sys
import httpx

async def main(url, ca):
    context = ssl.create_default_context(cafile=ca)
    async with httpx.AsyncClient(http2=True, http1=False, verify=context, timeout=30) as client:
        data = os.urandom(3 << 20)
        answers = await asyncio.gather(*(client.post(f"{url}/{n}", content=data) for n in range(8)))
        for answer in answers:
            assert (answer.status_code, answer.http_version) == (200, "HTTP/2"), answer
            assert answer.content == data
        answer = await client.get(url)
        assert answer.text == "hello", answer
    print("done")

asyncio.run(main(*sys.argv[1:]))
"#;

#[test]
fn python_httpx() {
    for up in [Up::H1, Up::H2] {
        let (dir, (running, peer)) = (TempDir::new(), echoing(Down::H2Tls, up));
        let script = dir.write("client.py", HTTPX);
        let mut command = Command::new(python());
        command.arg(script).arg(url(&running)).arg(running.proxy.dir().join("ca.pem"));
        assert_eq!(succeed(&mut command, dir.path()), "done\n");
        drop(running);
        peer.join();
    }
}

/// A WebSocket over HTTP/2 with `h2`, which has no client of its own: RFC 8441 by hand.
const PYTHON: &str = r#"
import os, socket, ssl, sys
import h2.config, h2.connection, h2.events, h2.settings

port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["h2"])
sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
assert sock.selected_alpn_protocol() == "h2"
conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
conn.initiate_connection()
sock.sendall(conn.data_to_send())
events = []

def pump():
    data = sock.recv(65536)
    assert data, "the connection ended"
    for event in conn.receive_data(data):
        if isinstance(event, h2.events.DataReceived):
            conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        events.append(event)
    sock.sendall(conn.data_to_send())

def wait(kind, stream=None):
    while True:
        for index, event in enumerate(events):
            if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                return events.pop(index)
        pump()

wait(h2.events.RemoteSettingsChanged)
assert conn.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1

def open_tunnel():
    stream = conn.get_next_available_stream_id()
    conn.send_headers(stream, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/ws"),
        (":authority", f"localhost:{port}"), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat.v2"),
    ])
    sock.sendall(conn.data_to_send())
    headers = dict(wait(h2.events.ResponseReceived, stream).headers)
    assert (headers[":status"], headers["sec-websocket-protocol"]) == ("200", "chat.v2"), headers
    return stream

def frame(payload, opcode=2, mask=b"\x00\x00\x00\x00"):
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65536:
        size = bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + size + mask + payload

def unmasked(framed):
    start = {126: 4, 127: 10}.get(framed[1] & 0x7f, 2)
    return bytes([framed[0], framed[1] & 0x7f]) + framed[2:start] + framed[start + 4:]

def send(stream, data):
    while data:
        room = min(conn.local_flow_control_window(stream), conn.max_outbound_frame_size, len(data))
        if room == 0:
            pump()
            continue
        conn.send_data(stream, data[:room])
        sock.sendall(conn.data_to_send())
        data = data[room:]

def receive(stream, length):
    got = b""
    while len(got) < length:
        got += wait(h2.events.DataReceived, stream).data
    return got

first, second = open_tunnel(), open_tunnel()
for size in [0, 1, 125, 126, 65535, 65536, 1 << 20]:
    for stream in (second, first):
        framed = frame(os.urandom(size))
        send(stream, framed)
        assert receive(stream, len(framed) - 4) == unmasked(framed), size
conn.reset_stream(second, 8)
sock.sendall(conn.data_to_send())
send(first, frame((1000).to_bytes(2, "big"), opcode=8))
assert receive(first, 4) == b"\x88\x02\x03\xe8"
wait(h2.events.StreamEnded, first)
print("done")
"#;

#[test]
fn a_websocket_with_python_h2() {
    for up in [Up::H1, Up::H2] {
        let (dir, (running, peer)) = (TempDir::new(), tunneling(up));
        let script = dir.write("client.py", PYTHON);
        let mut command = Command::new(python());
        command.arg(script).arg(running.proxy.address().port().to_string()).arg(running.proxy.dir().join("ca.pem"));
        assert_eq!(succeed(&mut command, dir.path()), "done\n");
        drop(running);
        peer.join();
    }
}

/// Node's own client: requests and two tunnels on one connection.
const NODE: &str = r#"
const assert = require('node:assert');
const http2 = require('node:http2');
const { once } = require('node:events');
(async () => {
  const [port, ca] = process.argv.slice(2);
  const session = http2.connect(`https://localhost:${port}`, {
    ca: require('node:fs').readFileSync(ca), lookup: (_, options, done) =>
      options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  });
  session.on('error', (error) => { console.error(error); process.exit(1); });
  const [settings] = await once(session, 'remoteSettings');
  assert.equal(settings.enableConnectProtocol, true);
  const open = async () => {
    const stream = session.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/ws', ':authority': `localhost:${port}`,
      'sec-websocket-version': '13', 'sec-websocket-protocol': 'chat.v2',
    }, { endStream: false });
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
    assert.equal(headers['sec-websocket-protocol'], 'chat.v2');
    return stream;
  };
  const read = async (stream, length) => {
    let got = Buffer.alloc(0);
    while (got.length < length) {
      const piece = stream.read();
      if (piece === null) await once(stream, 'readable'); else got = Buffer.concat([got, piece]);
    }
    return got;
  };
  const tunnels = await Promise.all([open(), open()]);
  const payload = Buffer.alloc(300000, 7);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(payload.length));
  for (const stream of tunnels) {
    stream.write(Buffer.concat([Buffer.from([0x82, 0xff]), size, Buffer.alloc(4), payload]));
    const back = await read(stream, 10 + payload.length);
    assert(back.equals(Buffer.concat([Buffer.from([0x82, 0x7f]), size, payload])));
  }
  for (const stream of tunnels) {
    stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]));
    assert((await read(stream, 4)).equals(Buffer.from([0x88, 2, 3, 0xe8])));
    stream.end();
    stream.resume();
    await once(stream, 'close');
    assert.equal(stream.rstCode, 0);
  }
  session.close();
  console.log('done');
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn a_websocket_with_node() {
    for up in [Up::H1, Up::H2] {
        let (dir, (running, peer)) = (TempDir::new(), tunneling(up));
        let script = dir.write("client.js", NODE);
        let mut command = Command::new(system("node", "nodejs"));
        command.arg(script).arg(running.proxy.address().port().to_string()).arg(running.proxy.dir().join("ca.pem"));
        assert_eq!(succeed(&mut command, dir.path()), "done\n");
        drop(running);
        peer.join();
    }
}
