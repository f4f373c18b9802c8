//! Python's `aioquic`: HTTP/3 by an implementation that is not ours. Debian's nginx has no HTTP/3, so that
//! only Tidegate is asked.

use std::process::Command;

use tidegate_tests::tools::python;
use tidegate_tests::{Authority, Backend, Response, TempDir, tidegate};

use crate::succeed;

const CONFIG: &str = r#"
[[listeners]]
address = "127.0.0.1:0"
protocols = ["h1", "h2", "h3"]
tls = { certificate = "server.pem", key = "server.key" }
[upstreams.u]
peers = ["%backend%"]
[upstreams.v]
peers = ["%counter%"]
[[sites]]
[[sites.routes]]
match = "/"
upstream = "u"
[[sites.routes]]
match = "= /posted"
upstream = "v"
"#;

const CLIENT: &str = r#"
import asyncio, ssl, sys
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic)
        self.streams = {}

    def quic_event_received(self, event):
        for seen in self.h3.handle_event(event):
            if isinstance(seen, (HeadersReceived, DataReceived)):
                self.streams[seen.stream_id].put_nowait(seen)

    def begin(self, method, path, more=(), end=True):
        stream = self._quic.get_next_available_stream_id()
        self.streams[stream] = asyncio.Queue()
        head = [(b":method", method), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", path)]
        self.h3.send_headers(stream, head + list(more), end_stream=end)
        self.transmit()
        return stream

    def send(self, stream, data, end=False):
        self.h3.send_data(stream, data, end)
        self.transmit()

    async def head(self, stream):
        seen = await self.streams[stream].get()
        assert isinstance(seen, HeadersReceived), seen
        return dict(seen.headers)

    async def body(self, stream):
        body = b""
        while True:
            seen = await self.streams[stream].get()
            body += getattr(seen, "data", b"")
            if seen.stream_ended:
                return body

    async def exactly(self, stream, count):
        data = b""
        while len(data) < count:
            data += (await self.streams[stream].get()).data
        assert len(data) == count, (len(data), count)
        return data

def frame(payload, mask):
    head = bytes([0x82])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + len(payload).to_bytes(8, "big")
    # A mask of zeros is a mask.
    return head + (bytes(4) if mask else b"") + payload

async def main(port, authority):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="example.com")
    configuration.load_verify_locations(authority)
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Client) as client:
        get = client.begin(b"GET", b"/plain")
        head = await client.head(get)
        assert head[b":status"] == b"200", head
        print("get", (await client.body(get)).decode())
        post = client.begin(b"POST", b"/posted", end=False)
        client.send(post, b"x" * 100_000, end=True)
        assert (await client.head(post))[b":status"] == b"200"
        print("post", (await client.body(post)).decode())
        assert client.h3.received_settings[0x08] == 1, client.h3.received_settings
        more = [(b":protocol", b"websocket"), (b"sec-websocket-version", b"13")]
        tunnel = client.begin(b"CONNECT", b"/ws", more, end=False)
        head = await client.head(tunnel)
        assert head[b":status"] == b"200", head
        for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20]:
            payload = bytes(size)
            client.send(tunnel, frame(payload, True))
            assert await client.exactly(tunnel, len(frame(payload, False))) == frame(payload, False)
        client.send(tunnel, b"\x88\x82\0\0\0\0\x03\xe8")
        print("closed", (await client.body(tunnel)).hex())

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"#;

#[test]
fn requests_and_a_websocket() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let backend = Backend::ws_echo();
    let counter = Backend::http(|request| Response::text(format!("{} bytes", request.body.data.len())));
    let own = authority.issue(&["example.com"]);
    let proxy = tidegate(CONFIG)
        .var("backend", backend.address())
        .var("counter", counter.address())
        .file("server.pem", own.certificate)
        .file("server.key", own.key)
        .start();
    let script = dir.write("client.py", CLIENT);
    let root = dir.write("authority.pem", authority.certificate());
    let mut client = Command::new(python());
    client.arg(script).arg(proxy.address().port().to_string()).arg(root);
    assert_eq!(succeed(&mut client, dir.path()), "get plain\npost 100000 bytes\nclosed 880203e8\n");
}
