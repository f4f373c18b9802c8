//! A plugin made of the frozen text of the contract 0.1.0 alone, without the SDK: it exports every
//! interface of it and calls every function that it imports. What it does is told by `../cases.toml`.
//!
//! `../guest.wasm` is what was made of it once. It is never made anew: it has to load and to do the
//! same in every later version.

#[allow(missing_docs, unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "host", additional_derives: [PartialEq] });
}

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::exports::tidegate::plugin as hooks;
use bindings::tidegate::plugin::types::{Decision, EditOperation, Field, FieldEdit, IpAddress, LocalReply, Variable};
use bindings::tidegate::plugin::{clock, config, http_client, log, metrics, peers, request, response};

static SEEN: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);
static SIZES: AtomicU32 = AtomicU32::new(0);
static FIRST_PEER: AtomicU32 = AtomicU32::new(0);

struct Guest;

fn reply(status: u16, text: &str) -> LocalReply {
    let fields = vec![Field { name: "x-frozen".into(), value: b"0.1.0".to_vec() }];
    LocalReply { status, fields, body: text.as_bytes().to_vec() }
}

fn edit(operation: EditOperation, name: &str, value: impl AsRef<[u8]>) -> FieldEdit {
    FieldEdit { operation, name: name.into(), value: value.as_ref().to_vec() }
}

/// What the header `x-do` says is to be done.
fn wish() -> String {
    request::get("x-do").map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
}

impl hooks::lifecycle::Guest for Guest {
    fn configure(document: String) -> Result<(), String> {
        if document != config::document() {
            return Err(": the document is not what was handed over".into());
        }
        if let Some(why) = config::get("/refuse") {
            return Err(format!("/refuse: {why}"));
        }
        let labels = [("kind".to_owned(), "a".to_owned())];
        let id = |made: Result<u32, metrics::MetricError>| made.map_err(|error| format!(": {error:?}"));
        SEEN.store(id(metrics::counter("seen", "Calls.", &labels))?, Ordering::Relaxed);
        LAST.store(id(metrics::gauge("last", "The last.", &[]))?, Ordering::Relaxed);
        SIZES.store(id(metrics::histogram("sizes", "Sizes.", &[], &[1.0, 10.0]))?, Ordering::Relaxed);
        Ok(())
    }
}

impl hooks::router::Guest for Guest {
    fn route() -> Result<Option<hooks::router::Target>, LocalReply> {
        match wish().as_str() {
            "next" => Ok(None),
            "reply" => Err(reply(404, "no route")),
            _ => Ok(Some(hooks::router::Target {
                route: request::host(),
                upstream: request::query(),
                path_with_query: Some(request::path()),
                variables: vec![Variable { name: "asked".into(), value: request::path_with_query() }],
            })),
        }
    }
}

impl hooks::origin::Guest for Guest {
    fn check() -> Decision {
        match wish().as_str() {
            "allow" => Decision::Allow,
            "deny" => Decision::Deny(reply(403, &request::method())),
            _ => Decision::Next,
        }
    }
}

impl hooks::authorizer::Guest for Guest {
    fn authorize() -> hooks::authorizer::Verdict {
        use hooks::authorizer::{Grant, Verdict};
        match wish().as_str() {
            "next" => Verdict::Next,
            "fetch" => Verdict::Deny(fetched()),
            "trap" => panic!("as asked"),
            "deny" => Verdict::Deny(reply(401, &request::authority())),
            _ => Verdict::Grant(Grant {
                variables: vec![Variable { name: "scheme_is".into(), value: request::scheme() }],
                edits: vec![edit(EditOperation::Set, "x-client", client())],
            }),
        }
    }
}

fn client() -> String {
    let ends = [request::client(), request::local()];
    let text = ends.map(|end| match end.address {
        IpAddress::Ipv4((a, b, c, d)) => format!("{a}.{b}.{c}.{d}:{}", end.port),
        IpAddress::Ipv6((a, .., h)) => format!("[{a:x}::{h:x}]:{}", end.port),
    });
    text.join(" ")
}

fn fetched() -> LocalReply {
    let request = http_client::Request {
        method: "POST".into(),
        url: "http://auth.test/ask".into(),
        fields: vec![Field { name: "x-a".into(), value: b"1".to_vec() }],
        body: b"body".to_vec(),
        timeout_ms: 50,
        max_body: 100,
    };
    match http_client::fetch(&request) {
        Ok(answer) => LocalReply { status: answer.status, fields: answer.fields, body: answer.body },
        Err(error) => reply(502, &format!("{error:?}")),
    }
}

impl hooks::request_headers::Guest for Guest {
    fn on_request() -> Result<Vec<FieldEdit>, LocalReply> {
        if wish() == "reply" {
            return Err(reply(426, ""));
        }
        let many = request::get_all("x-many").len();
        Ok(vec![
            edit(EditOperation::Set, "x-many", many.to_string()),
            edit(EditOperation::Append, "x-has", request::has("x-do").to_string()),
            edit(EditOperation::SetDefault, "x-lines", request::entries().len().to_string()),
            edit(EditOperation::Append, "x-websocket", request::is_websocket().to_string()),
            edit(EditOperation::Append, "x-variable", request::variable("arg_a").unwrap_or_default()),
            edit(EditOperation::Remove, "x-do", ""),
        ])
    }
}

impl hooks::balancer::Guest for Guest {
    fn update(_group: u32, name: String, peers: Vec<hooks::balancer::Peer>) {
        let wanted = |peer: &&hooks::balancer::Peer| {
            !peer.backup && peer.weight > 0 && peer.tags.iter().any(|tag| tag.name == "zone" && tag.value == "a")
        };
        let found = peers.iter().find(wanted).map_or(u32::MAX, |peer| peer.id);
        FIRST_PEER.store(found, Ordering::Relaxed);
        let told: Vec<String> = peers.iter().map(|peer| format!("{}={}", peer.name, peer.address)).collect();
        log::write(log::Level::Info, &format!("{name}: {}", told.join(" ")));
    }

    fn pick(_group: u32) -> Option<u32> {
        let id = FIRST_PEER.load(Ordering::Relaxed);
        let busy = peers::active(id)?;
        (u64::from(busy) * 2 <= u64::from(peers::total()) && peers::tried().is_empty()).then_some(id)
    }
}

impl hooks::response_headers::Guest for Guest {
    fn on_response() -> Result<Vec<FieldEdit>, LocalReply> {
        if response::status() == 500 {
            return Err(reply(503, "later"));
        }
        let server = response::get("server").unwrap_or_default();
        let counts = format!("{} {}", response::get_all("set-cookie").len(), response::entries().len());
        Ok(vec![edit(EditOperation::Set, "x-server", server), edit(EditOperation::Set, "x-counts", counts)])
    }
}

impl hooks::messages::Guest for Guest {
    fn open(_tunnel: u64) -> Option<hooks::messages::Subscription> {
        use hooks::messages::{Interest, Subscription};
        let texts = Interest::TEXT_TO_UPSTREAM | Interest::TEXT_TO_CLIENT;
        match wish().as_str() {
            "none" => None,
            "cut" => Some(Subscription { interest: texts | Interest::BINARY_TO_UPSTREAM, first: Some(3) }),
            _ => Some(Subscription { interest: texts, first: None }),
        }
    }

    fn on_message(_: u64, message: hooks::messages::Message, data: Vec<u8>) -> hooks::messages::Verdict {
        use hooks::messages::{Closing, Injection, Outgoing, Verdict, Way};
        let back = match message.way {
            Way::ToUpstream => Way::ToClient,
            Way::ToClient => Way::ToUpstream,
        };
        match data.as_slice() {
            b"drop" => Verdict::Drop,
            b"close" => Verdict::Close(Closing { code: 4000, reason: "as asked".into() }),
            b"inject" => {
                let own = Outgoing { way: back, text: true, data: b"own".to_vec() };
                Verdict::Inject(Injection { messages: vec![own], pass: true })
            }
            b"length" => Verdict::Replace(format!("{:?} {}", message.length, message.text).into_bytes()),
            data if data.len() == 3 => Verdict::Replace(data.to_vec()),
            _ => Verdict::Pass,
        }
    }

    fn close(_tunnel: u64) {}
}

impl hooks::tunnel::Guest for Guest {
    fn on_open(_tunnel: u64) {
        metrics::add(SEEN.load(Ordering::Relaxed), 2);
    }

    fn on_close(_tunnel: u64, summary: hooks::tunnel::Summary) {
        metrics::set(LAST.load(Ordering::Relaxed), f64::from(summary.close_code.unwrap_or_default()));
        let bytes = u32::try_from(summary.bytes.to_upstream).unwrap_or(u32::MAX);
        metrics::observe(SIZES.load(Ordering::Relaxed), f64::from(bytes));
        let messages = summary.messages.map(|counts| counts.to_client);
        log::write(log::Level::Info, &format!("{} {} {messages:?}", summary.cause, summary.duration_us));
    }
}

impl hooks::access_log::Guest for Guest {
    fn on_end(summary: hooks::access_log::Summary) {
        if log::enabled(log::Level::Warn) {
            let now = (clock::unix_ms(), clock::monotonic() / 1_000_000);
            let s = summary;
            let bytes = (s.bytes_in, s.bytes_out);
            log::write(
                log::Level::Warn,
                &format!("{} {:?} {} {} {} {bytes:?} {now:?}", s.status, s.upstream, s.tunnel, s.cause, s.duration_us),
            );
        }
    }
}

// The names of exports have colons in them, which no linker for this machine takes.
#[cfg(target_arch = "wasm32")]
bindings::export!(Guest with_types_in bindings);
