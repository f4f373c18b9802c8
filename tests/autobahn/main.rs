//! Autobahn's test suite for WebSockets (PyPI `autobahntestsuite`), straight at echo servers and
//! through a relay whose plugin sees every message and lets it pass: no case may be worse.
//!
//! It runs in Python 2.7 only, which Debian has no more: `cargo xtask test --only tools,autobahn`
//! installs it where there is one, and runs this. `TIDEGATE_AUTOBAHN=all` with it runs all 517
//! cases, those of limits and of compression too, which take some forty minutes; `TIDEGATE_AUTOBAHN='9.* 12.1.*'`
//! runs these, each pattern in a process of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};
use tidegate_tests::guests::guest;
use tidegate_tests::tools::{autobahn, node_modules, python, run, system};
use tidegate_tests::{Proxy, TempDir, eventually, tidegate};

/// The groups that take seconds, whole: framing, pings, reserved bits, opcodes, fragments, UTF-8,
/// closing; and those of limits and compression that are not about speed, by example. Each list is
/// for a process of its own: many cases wait for a second to see that nothing comes.
const USUAL: [&[&str]; 4] = [
    &["1.*", "2.*", "3.*", "4.*", "10.*", "5.1*", "5.2*"],
    &["5.3*", "5.4*", "5.5*", "5.6*", "5.7*", "5.8*", "5.9*", "7.*", "6.4.*"],
    &[
        "6.1*", "6.2*", "6.3.*", "6.5.*", "6.6.*", "6.7.*", "6.8.*", "6.9.*", "12.1.1", "12.1.3", "12.2.1", "12.3.2",
        "12.4.1", "12.5.1", "13.1.1", "13.2.1", "13.3.1", "13.4.1", "13.5.1", "13.6.1", "13.7.1",
    ],
    &["9.1.1", "9.1.4", "9.1.6", "9.2.1", "9.2.4", "9.3.4", "9.4.4", "9.5.4", "9.6.4", "9.7.1", "9.8.1"],
];

/// Every case there is.
const ALL: [&[&str]; 4] = [&["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"], &["12.*"], &["13.*"], &["9.*"]];

const PYTHON_ECHO: &str = r#"
import asyncio, sys
from websockets.asyncio.server import serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main(port):
    async with serve(echo, "127.0.0.1", port, max_size=None, ping_interval=None):
        await asyncio.get_running_loop().create_future()

asyncio.run(main(int(sys.argv[1])))
"#;

const NODE_ECHO: &str = r#"
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: +process.argv[2], perMessageDeflate: true, maxPayload: 0 });
server.on('connection', (ws) => {
  ws.on('error', () => {});
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
});
"#;

/// An echo server in a process of its own.
struct Echo {
    process: Child,
    address: SocketAddr,
}

impl Echo {
    fn start(mut command: Command) -> Self {
        // Taken and let go: the server listens there.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        command.arg(address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        eventually("an echo server listens", || TcpStream::connect(address).is_ok());
        Self { process, address }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// A relay whose plugin sees all messages, up to the largest of the suite, and lets them pass.
fn relay(echo: &Echo) -> Proxy {
    let text = r#"
        [plugins.m]
        component = "%messenger%"
        memory = "128MiB"
        deadline = "20ms"
        # On a fiber: what it does with 16 MiB takes longer than a worker may be held for.
        [plugins.slow]
        component = "%messenger%"
        memory = "128MiB"
        deadline = "30s"
        [[sites]]
        [[sites.routes]]
        match = "/"
        upstream = "%echo%"
        plugins = ["m"]
        messages = { max_size = "32MiB", max_ratio = 1032 }
        [[sites.routes]]
        match = "/large"
        upstream = "%echo%"
        plugins = ["slow"]
        messages = { max_size = "32MiB", max_ratio = 1032 }
        "#;
    tidegate(text).var("messenger", guest("messenger")).var("echo", echo.address).start()
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    behaviour: String,
    close: String,
}

/// Better is less. What is not judged (`INFORMATIONAL`) is as good as what is right.
fn rank(word: &str) -> usize {
    let words = [&["OK", "INFORMATIONAL"][..], &["NON-STRICT"], &["UNIMPLEMENTED"], &["UNCLEAN", "WRONG CODE"]];
    words.iter().position(|words| words.contains(&word)).unwrap_or(words.len())
}

impl Outcome {
    /// Whether it is worse than this, at an echo server of this name.
    ///
    /// What came before a fault should be echoed (`OK`, else `NON-STRICT`), and it is the server that does so: it
    /// is sent the message and a close frame. `ws` echoes within the read. `websockets` answers the close frame
    /// before its handler has had a turn, so that the echo of what came in the same read is lost: without a relay,
    /// too (0 of 20 where both come in one write, 20 of 20 where they come apart). Whether they come in one read is
    /// chance; so these two outcomes are one there, and `ws` is who shows that no echo is lost on the way.
    fn is_worse_than(&self, other: &Self, server: &str) -> bool {
        let rank = |word: &str| if word == "NON-STRICT" && server == "websockets" { 0 } else { rank(word) };
        rank(&self.behaviour) > rank(&other.behaviour) || rank(&self.close) > rank(&other.close)
    }
}

type Outcomes = BTreeMap<String, Outcome>;

/// Run cases against these servers; the outcomes of each, by case.
fn fuzz(servers: &[(&str, SocketAddr)], cases: &[&str]) -> Vec<Outcomes> {
    let dir = TempDir::new();
    let out = dir.path().join("out");
    // The cases of limits have messages of up to 16 MiB.
    let path = if cases.iter().any(|case| case.starts_with("9.")) { "/large" } else { "/" };
    let list: Vec<Json> =
        servers.iter().map(|(name, address)| json!({"agent": name, "url": format!("ws://{address}{path}")})).collect();
    let spec = json!({"outdir": out, "servers": list, "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}});
    let spec = dir.write("spec.json", spec.to_string());
    let mut suite = Command::new(autobahn());
    suite.current_dir(dir.path()).args(["-m", "fuzzingclient", "-s"]).arg(spec);
    let ended = run(&mut suite, dir.path());
    let said = || format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{}: {}", ended.status, said());
    let index = std::fs::read(out.join("index.json")).unwrap_or_else(|error| panic!("no index: {error}\n{}", said()));
    let index: Json = serde_json::from_slice(&index).unwrap();
    let outcomes = |(name, _): &(&str, SocketAddr)| {
        let word = |case: &Json, key: &str| case[key].as_str().unwrap().to_owned();
        let of = |case: &Json| Outcome { behaviour: word(case, "behavior"), close: word(case, "behaviorClose") };
        index[*name].as_object().unwrap().iter().map(|(id, case)| (id.clone(), of(case))).collect()
    };
    servers.iter().map(outcomes).collect()
}

/// Cases that are worse through the relay, in words, by case and server.
type Worse = BTreeMap<(String, String), String>;

/// What is worse through the relay, and how many cases there were.
fn compare(servers: &[(&str, SocketAddr)], cases: &[&str]) -> (usize, Worse) {
    let outcomes = fuzz(servers, cases);
    let mut worse = Worse::new();
    let mut seen = 0;
    for (pair, names) in outcomes.chunks(2).zip(servers.chunks(2)) {
        let (direct, through) = (&pair[0], &pair[1]);
        assert!(direct.keys().eq(through.keys()), "not the same cases ran");
        seen += direct.len();
        let pairs = direct.iter().map(|(id, outcome)| (id, outcome, &through[id]));
        worse.extend(pairs.filter(|(_, direct, through)| through.is_worse_than(direct, names[0].0)).map(
            |(id, direct, through)| {
                let text = format!("{id} of {}: {direct:?}, but {through:?}", names[1].0);
                ((id.clone(), names[1].0.to_owned()), text)
            },
        ));
    }
    (seen, worse)
}

#[test]
fn no_case_is_worse_than_without_the_relay() {
    let dir = TempDir::new();
    let mut websockets = Command::new(python());
    websockets.arg(dir.write("echo.py", PYTHON_ECHO));
    let mut ws = Command::new(system("node", "nodejs"));
    ws.env("NODE_PATH", node_modules()).arg(dir.write("echo.js", NODE_ECHO));
    let (websockets, ws) = (Echo::start(websockets), Echo::start(ws));
    let (before_websockets, before_ws) = (relay(&websockets), relay(&ws));
    let servers = [
        ("websockets", websockets.address),
        ("websockets through the relay", before_websockets.address()),
        ("ws", ws.address),
        ("ws through the relay", before_ws.address()),
    ];
    let wanted = std::env::var("TIDEGATE_AUTOBAHN").ok();
    // And the least cases that these are.
    let (shards, least) = match wanted.as_deref() {
        None => (USUAL.map(<[_]>::to_vec).to_vec(), 271),
        Some("all") => (ALL.map(<[_]>::to_vec).to_vec(), 517),
        Some(patterns) => (patterns.split_whitespace().map(|pattern| vec![pattern]).collect(), 1),
    };
    let (mut seen, mut worse) = (0, Worse::new());
    std::thread::scope(|scope| {
        let shards: Vec<_> = shards.iter().map(|cases| scope.spawn(|| compare(&servers, cases))).collect();
        for shard in shards {
            let (more, found) = shard.join().unwrap();
            seen += more;
            worse.extend(found);
        }
    });
    assert!(seen >= 2 * least, "only {seen} cases ran");
    eprintln!("{seen} cases ran");
    // How bytes come together is chance at each of four processes: what the relay is to blame for comes again.
    for _ in 0..2 {
        let again: BTreeSet<String> = worse.keys().map(|(id, _)| id.clone()).collect();
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        if !again.is_empty() {
            let (_, found) = compare(&servers, &again);
            worse.retain(|case, _| found.contains_key(case));
        }
    }
    let lines: Vec<&str> = worse.values().map(String::as_str).collect();
    assert!(worse.is_empty(), "{} of {seen} cases are worse through the relay:\n{}", worse.len(), lines.join("\n"));
}
