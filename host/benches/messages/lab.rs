//! A tunnel in this thread, between two pairs of sockets whose other ends are in one's hands: for the
//! bench `messages`, and for the test that counts what is allocated.

use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use tidegate::config::load_str;
use tidegate::hook::{
    self, Builtins, Call, Caps, Content, Interest, Isolation, Judgement, Message, OnFailure, Own, Plugin, ResponseView,
    Session, SessionState, Sessions, Subscription, View, Way,
};
use tidegate::message::Fields;
use tidegate::observe::{MessageCounts, MessageTally};
use tidegate::plugin::{Runtime, RuntimeSettings, Source, Spec};
use tidegate::socket::{Plain, Socket};
use tidegate::tunnel::{self, Inspection, Opening, Registry, Terms};
use tidegate::upstream::{Ask, Shared, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// What wants to see all messages, and lets binary ones pass.
const MESSENGER: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist/messenger.wasm"));

/// One tunnel, and the far ends of its sockets.
pub(crate) struct Lab {
    runtime: tokio::runtime::Runtime,
    client: UnixStream,
    upstream: UnixStream,
    got: Vec<u8>,
}

impl Lab {
    /// A tunnel that these look into; of bytes where it is none.
    pub(crate) fn new(sessions: Option<Sessions>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let (client, downstream) = UnixStream::pair().unwrap();
        let (upstream, peer) = UnixStream::pair().unwrap();
        let text = "[[listeners]]\naddress = \"127.0.0.1:0\"\n[upstreams.u]\npeers = [\"127.0.0.1:1\"]\n\
                    [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"u\"\n";
        let config = load_str(text, Path::new("."), "lab").unwrap();
        let group = Upstream::new(config.upstreams.first().unwrap(), &Shared::default());
        let lease = group.pick(&Ask::default()).unwrap();
        let registry = Arc::new(Registry::default());
        let inspection = sessions.map(|sessions| Inspection {
            sessions,
            deflate: None,
            max_size: 1 << 20,
            max_ratio: 250,
            counts: MessageCounts::new(Arc::new(MessageTally::default())),
        });
        let opening = Opening {
            upstream: Socket::Plain(Plain::Unix(peer)),
            early: Bytes::new(),
            terms: Terms { idle: Duration::from_secs(3600), half_close: false },
            record: None,
            lease,
            inspection,
            told: None,
            access: None,
            timer: None,
        };
        let downstream = Socket::Plain(Plain::Unix(downstream));
        runtime.spawn(tunnel::run(downstream, Bytes::new(), Box::new(opening), &registry));
        drop(entered);
        Self { runtime, client, upstream, got: Vec::new() }
    }

    /// Send these from one end, and wait until as many bytes have come at the other.
    pub(crate) fn send(&mut self, way: Way, bytes: &[u8]) -> &[u8] {
        let (from, to) = match way {
            Way::Up => (&mut self.client, &mut self.upstream),
            Way::Down => (&mut self.upstream, &mut self.client),
        };
        self.got.resize(bytes.len(), 0);
        let (sent, came) =
            self.runtime.block_on(async { tokio::join!(from.write_all(bytes), to.read_exact(&mut self.got)) });
        sent.unwrap();
        came.unwrap();
        &self.got
    }
}

/// So many binary messages of so many bytes, as one side sends them.
pub(crate) fn messages(way: Way, count: usize, size: usize) -> Vec<u8> {
    let masked = way == Way::Up;
    let mut head = vec![0x82];
    let bit = if masked { 0x80 } else { 0 };
    match u8::try_from(size) {
        Ok(short @ 0..126) => head.push(bit | short),
        _ => {
            head.push(bit | 126);
            head.extend_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
        }
    }
    if masked {
        head.extend_from_slice(&[0x37, 0xfa, 0x21, 0x3d]);
    }
    head.resize(head.len() + size, 0x5a);
    head.repeat(count)
}

/// A runtime for plugins, of one worker.
pub(crate) fn plugins() -> Arc<Runtime> {
    Runtime::new(&RuntimeSettings::default()).unwrap()
}

/// The plugin that sees all messages.
pub(crate) fn messenger(runtime: &Runtime) -> Arc<dyn Plugin> {
    let spec = Spec {
        name: "messenger".into(),
        source: Source::Bytes(MESSENGER),
        config: "{}".into(),
        on_failure: OnFailure::Closed,
        deadline: Duration::from_millis(10),
        memory: 16 << 20,
        caps: Caps { table: 40_000, output: None, host_calls: 10_000 },
        quarantine: None,
        hooks: None,
        restart_tunnels: false,
        isolation: Isolation::Worker,
        fetch: None,
        kv: Vec::new(),
        secrets: Vec::new(),
        environment: Vec::new(),
        stage: None,
    };
    runtime.load(&spec).unwrap()
}

/// Its part in a tunnel of this number.
pub(crate) fn session(plugin: &Arc<dyn Plugin>, tunnel: u64) -> Box<dyn Session> {
    let response = Arc::new(ResponseView { status: StatusCode::SWITCHING_PROTOCOLS, headers: Fields::new() });
    match plugin.open(&view(tunnel), &response) {
        Call::Ready(session) => session.unwrap().unwrap(),
        Call::Later(_) => unreachable!("it imports nothing that waits"),
    }
}

/// A part that wants to see text only, and lets it pass: with binary messages there is nothing but the
/// walk over their frames.
pub(crate) struct OnlyText;

impl Session for OnlyText {
    fn plugin(&self) -> &str {
        "only-text"
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::Closed
    }

    fn subscription(&self) -> Subscription {
        let interest = Interest::default().with(Way::Up, Content::Text).with(Way::Down, Content::Text);
        Subscription { interest, first: None }
    }

    fn on_message(&mut self, _: &Message<'_>) -> Call<Judgement> {
        Call::Ready(Ok(Judgement::Pass))
    }

    fn state(&self) -> SessionState {
        SessionState::Good
    }

    fn wake_when_failed(&mut self, _: &Waker) {}

    fn reopen(&self) -> Call<Option<Box<dyn Session>>> {
        Call::Ready(Ok(None))
    }
}

#[derive(Debug)]
struct Nothing;

impl Builtins for Nothing {
    fn resolve(&self, _: &View, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn outcome(&self, _: &hook::Outcome, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn header(&self, _: &Fields, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }
}

fn view(serial: u64) -> Arc<View> {
    Arc::new(View {
        serial,
        method: Method::GET,
        version: Version::HTTP_11,
        path_with_query: "/ws".into(),
        original: None,
        path: "/ws".into(),
        authority: "ws.example.com".into(),
        host: "ws.example.com".into(),
        scheme: "http",
        is_websocket: true,
        is_renewal: false,
        headers: Fields::new(),
        client: "192.0.2.1:4711".parse().unwrap(),
        peer: "192.0.2.1:4711".parse().unwrap(),
        limit_req_status: "",
        limit_conn_status: "",
        local: "192.0.2.2:80".parse().unwrap(),
        variables: Vec::new(),
        route: "".into(),
        site: "".into(),
        arrival: hook::Arrival::default(),
        upstream: "".into(),
        outcome: hook::Outcome::default(),
        maps: Arc::default(),
        kept: hook::Kept::default(),
        own: Own::default(),
        builtins: &Nothing,
    })
}
