//! Python's `websockets`.

use std::process::Command;

use tidegate_tests::tools::python;
use tidegate_tests::{Backend, Subject, TempDir, both};

use crate::{inspected, succeed};

both!(client, refused_client);

const CLIENT: &str = r#"
import asyncio, os, sys
from websockets.asyncio.client import connect

async def main(url):
    async with connect(url, subprotocols=["chat.v2"], compression=None, max_size=None,
                       additional_headers={"X-Token": "secret"}) as ws:
        assert ws.subprotocol == "chat.v2", ws.subprotocol
        for text in ["hello", "", "gr\u00fc\u00dfe \U0001F30A", "x" * 100_000]:
            await ws.send(text)
            assert await ws.recv() == text
        data = os.urandom(3 << 20)
        sending = asyncio.create_task(ws.send(data))
        assert await ws.recv() == data
        await sending
        await ws.send(["in ", "three ", "parts"])
        assert await ws.recv() == "in three parts"
        await (await ws.ping("are you there"))
        for i in range(200):
            await ws.send(str(i))
        for i in range(200):
            assert await ws.recv() == str(i)
    print("closed", ws.close_code)

asyncio.run(main(sys.argv[1]))
"#;

fn client(subject: Subject) {
    let dir = TempDir::new();
    let backend = Backend::ws_echo_with("Sec-WebSocket-Protocol: chat.v2\r\n");
    let proxy = subject.before(backend.address());
    let script = dir.write("client.py", CLIENT);
    let url = format!("ws://{}/ws?room=blue", proxy.address());
    assert_eq!(succeed(Command::new(python()).arg(script).arg(url), dir.path()), "closed 1000\n");
    let seen = backend.only_head();
    assert_eq!(seen.get("x-token"), Some("secret"));
    assert_eq!(seen.target(), "/ws?room=blue");
}

const REFUSED: &str = r#"
import sys
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
try:
    connect(sys.argv[1])
except InvalidStatus as error:
    print(error.response.status_code, error.response.body.decode())
"#;

fn refused_client(subject: Subject) {
    let dir = TempDir::new();
    let backend = Backend::http(|_| tidegate_tests::Response::new(403).body("not you"));
    let proxy = subject.before(backend.address());
    let script = dir.write("refused.py", REFUSED);
    let url = format!("ws://{}/ws", proxy.address());
    assert_eq!(succeed(Command::new(python()).arg(script).arg(url), dir.path()), "403 not you\n");
}

/// Its server and its client, which compress by default with windows of 4 KiB, through a plugin that
/// wants to see all messages; and one that masks words for both.
const BOTH: &str = r#"
import asyncio, os, socket, sys
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main(url, port):
    async with serve(echo, "127.0.0.1", port, max_size=None):
        async with connect(url, max_size=None) as ws:
            assert any(e.name == "permessage-deflate" for e in ws.protocol.extensions), ws.protocol.extensions
            for n in range(50):
                text = f"gr\u00fc\u00dfe {n} " * (n * 20)
                await ws.send(text)
                assert await ws.recv() == text
                # Replaced on the way up, and then as any other on the way down.
                await ws.send("!replace " + text)
                assert await ws.recv() == text
                await ws.send("!drop")
                await ws.send(["in ", "parts"])
                assert await ws.recv() == "in parts"
            data = os.urandom(500_000)
            await ws.send(data)
            assert await ws.recv() == data
            await (await ws.ping("are you there"))
        print("closed", ws.close_code)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"#;

#[test]
fn compressed_messages_through_a_plugin() {
    let dir = TempDir::new();
    // Taken and let go: the script listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = inspected(([127, 0, 0, 1], port).into());
    let script = dir.write("both.py", BOTH);
    let url = format!("ws://{}/ws", proxy.address());
    let said = succeed(Command::new(python()).arg(script).arg(url).arg(port.to_string()), dir.path());
    assert_eq!(said, "closed 1000\n");
}
