//! The runtime with real components.

mod access;
mod allocations;
mod balance;
mod failures;
mod fetch;
mod fiber;
mod guests;
mod hooks;
mod kv;
#[path = "../../../benches/messages/lab.rs"]
mod lab;
mod life;
mod lines;
mod loading;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::*;
use crate::hook::{self, Builtins, Call, Decision, HookFailure, OnFailure, ResponseView, View};
use crate::message::Fields;

/// A runtime that is small enough to have one in each test.
fn runtime() -> Arc<Runtime> {
    Runtime::new(&RuntimeSettings { instances: 8, ..RuntimeSettings::default() }).unwrap()
}

/// The defaults.
const QUARANTINE: hook::Quarantine = hook::Quarantine {
    row: 8,
    failures: 50,
    calls: 20,
    window: Duration::from_secs(10),
    rest: Duration::from_millis(100),
    longest_rest: Duration::from_secs(30),
};

fn spec(bytes: &'static [u8]) -> Spec {
    Spec {
        name: "test".into(),
        source: Source::Bytes(bytes),
        config: "{}".into(),
        on_failure: OnFailure::Closed,
        deadline: Duration::from_millis(10),
        memory: 4 << 20,
        caps: hook::Caps { table: 1000, output: None, host_calls: 1000 },
        quarantine: Some(QUARANTINE),
        hooks: None,
        restart_tunnels: false,
        isolation: hook::Isolation::Worker,
        fetch: None,
        kv: Vec::new(),
        secrets: Vec::new(),
        environment: Vec::new(),
        stage: None,
    }
}

fn load(runtime: &Runtime, bytes: &'static [u8]) -> Arc<dyn hook::Plugin> {
    runtime.load(&spec(bytes)).unwrap()
}

fn refused(spec: &Spec) -> PluginError {
    runtime().load(spec).err().expect("the plugin is refused")
}

#[derive(Debug)]
struct NoBuiltins;

impl Builtins for NoBuiltins {
    fn resolve(&self, view: &View, name: &str, out: &mut Vec<u8>) -> bool {
        let known = name == "host";
        if known {
            out.extend_from_slice(view.host.as_bytes());
        }
        known
    }

    fn outcome(&self, _: &hook::Outcome, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn header(&self, _: &Fields, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn request_id(&self, serial: u64) -> Option<String> {
        Some(format!("id-{serial}"))
    }
}

fn view() -> Arc<View> {
    let mut headers = Fields::new();
    headers.append("Origin", b"https://app.example.com");
    headers.append("X-Many", b"1");
    headers.append("x-many", b"\xff");
    Arc::new(View {
        serial: 1,
        method: Method::GET,
        version: http::Version::HTTP_11,
        path_with_query: "/ws?a=1".into(),
        original: None,
        path: "/ws".into(),
        authority: "WS.example.com:8080".into(),
        host: "ws.example.com".into(),
        scheme: "http",
        is_websocket: true,
        headers,
        client: "192.0.2.1:4711".parse().unwrap(),
        peer: "192.0.2.1:4711".parse().unwrap(),
        limit_req_status: "",
        limit_conn_status: "",
        is_renewal: false,
        local: "[2001:db8::1]:8080".parse().unwrap(),
        variables: vec![("user".into(), "ann".into())],
        route: "".into(),
        site: "".into(),
        arrival: hook::Arrival::default(),
        upstream: Arc::default(),
        outcome: hook::Outcome::default(),
        maps: Arc::default(),
        kept: hook::Kept::default(),
        own: hook::Own::new(true),
        builtins: &NoBuiltins,
    })
}

fn response() -> Arc<ResponseView> {
    Arc::new(ResponseView { status: StatusCode::SWITCHING_PROTOCOLS, headers: Fields::new() })
}

/// The answer of a call in the sync lane.
fn now<T>(call: Call<T>) -> Result<T, HookFailure> {
    match call {
        Call::Ready(answer) => answer,
        Call::Later(_) => panic!("the plugin is in the fiber lane"),
    }
}

fn check(plugin: &Arc<dyn hook::Plugin>) -> Result<Decision, HookFailure> {
    now(plugin.check_origin(&view()))
}

/// Instances of the plugins named `test`.
fn live(runtime: &Runtime) -> i64 {
    runtime.metrics().plugin(&"test".into()).live()
}

fn metrics(runtime: &Runtime) -> String {
    let mut text = String::new();
    runtime.metrics().render(&mut text);
    text
}
