//! The traits that a plugin's author implements: [`Plugin`], and one per hook.

use serde::de::DeserializeOwned;

use crate::bodies::{Changes, ChunkVerdict, EndVerdict, Wish};
use crate::messages::{self, Message, Subscription};
use crate::{ConfigError, Decision, Edit, Field, Peer, Reply, Summary, Target, Verdict};

/// What every plugin is: something made from a configuration. One value serves many
/// requests, one at a time, on one worker of the proxy, so its fields are a place for
/// counters and caches; other workers have values of their own.
pub trait Plugin: Sized + 'static {
    /// The `config` table of the plugin. Put `#[serde(deny_unknown_fields)]` on it, so
    /// that a misspelt key is an error that names the key. [`crate::NoConfig`] where
    /// there is nothing to configure.
    type Config: DeserializeOwned;

    /// Make the plugin. Compile patterns and parse templates here: it runs once, and a
    /// request many times. There is no request to read yet.
    ///
    /// # Errors
    /// What is wrong with the configuration: it refuses the configuration or reload as
    /// a whole, and the operator is shown the line of the key.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;
}

/// A plugin that is its own configuration, with nothing in it to check or prepare.
///
/// ```
/// use tidegate_plugin::{ConfiguredAsIs, testing};
///
/// #[derive(serde::Deserialize)]
/// struct Hello {
///     key: String,
/// }
///
/// impl ConfiguredAsIs for Hello {}
///
/// let plugin: Hello = testing::configure(r#"{"key": "sesame"}"#)?;
/// assert_eq!(plugin.key, "sesame");
/// # Ok::<(), tidegate_plugin::ConfigError>(())
/// ```
pub trait ConfiguredAsIs: DeserializeOwned + 'static {}

impl<P: ConfiguredAsIs> Plugin for P {
    type Config = P;

    fn configure(config: P) -> Result<P, ConfigError> {
        Ok(config)
    }
}

/// Hook `router`: which route a request takes. nginx: the choice of `server` and
/// `location`.
///
#[doc = include_str!("hook/router.md")]
pub trait Router: Plugin {
    /// Where the current request goes; none asks the next router.
    ///
    /// # Errors
    /// An answer for the client instead of a route.
    fn route(&mut self) -> Result<Option<Target>, Reply>;
}

/// Hook `origin`: whether the request's Origin may talk to this route.
///
#[doc = include_str!("hook/origin.md")]
pub trait Origin: Plugin {
    /// Judge the current request.
    fn check(&mut self) -> Decision;
}

/// Hook `authorizer`: who is asking, and may they. Runs after `origin`.
///
#[doc = include_str!("hook/authorizer.md")]
pub trait Authorizer: Plugin {
    /// Judge the current request.
    fn authorize(&mut self) -> Verdict;
}

/// Hook `request-headers`: what the upstream will see. nginx: `proxy_set_header`.
///
#[doc = include_str!("hook/request-headers.md")]
pub trait RequestHeaders: Plugin {
    /// The edits to make, in order.
    ///
    /// # Errors
    /// An answer to give instead of asking the upstream.
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply>;
}

/// Hook `request-body`: what clients send behind the head of a request. All calls for one exchange
/// go to one value of the plugin, which others may share: keep what you know of one under its
/// number. A plugin implements what it wishes for: `on_body`, or `on_chunk` and `on_end`.
///
/// ```
/// use tidegate_plugin::bodies::{Changes, Wish};
/// use tidegate_plugin::{ConfiguredAsIs, Edit, Field, Reply, RequestBody, request, testing};
///
/// /// Refuses forms with a word, and tells the upstream how long the others are.
/// #[derive(serde::Deserialize)]
/// struct Forms {
///     word: String,
/// }
///
/// impl ConfiguredAsIs for Forms {}
///
/// impl RequestBody for Forms {
///     fn open(&mut self, _exchange: u64) -> Wish {
///         let is_form = request::header("content-type").is_some_and(|kind| kind.ends_with(b"form-urlencoded"));
///         if is_form { Wish::whole() } else { Wish::None }
///     }
///
///     fn on_body(&mut self, _exchange: u64, body: Vec<u8>, _trailers: Vec<Field>) -> Result<Changes, Reply> {
///         if String::from_utf8_lossy(&body).contains(&self.word) {
///             return Err(Reply::new(422).text("not that word\n"));
///         }
///         Ok(Changes::none().edit(Edit::set("x-form-length", body.len().to_string())))
///     }
/// }
///
/// tidegate_plugin::export!(Forms: request_body);
/// # fn main() {
/// let mut forms: Forms = testing::configure(r#"{"word": "darn"}"#).unwrap();
/// let request = testing::Request::new("POST", "/").header("Content-Type", "application/x-www-form-urlencoded");
/// let refused = testing::request_body(&mut forms, &request, "a=1&b=darn");
/// assert_eq!(refused.reply().map(|reply| reply.status), Some(422));
/// assert_eq!(testing::request_body(&mut forms, &request, "a=1").body(), Some(&b"a=1"[..]));
/// # }
/// ```
pub trait RequestBody: Plugin {
    /// A request with a body; [`crate::request`] can be read.
    fn open(&mut self, exchange: u64) -> Wish;

    /// All of it, where [`RequestBody::open`] wished for it whole. [`crate::request`] can be read.
    ///
    /// # Errors
    /// An answer to give instead of asking the upstream.
    fn on_body(&mut self, exchange: u64, body: Vec<u8>, trailers: Vec<Field>) -> Result<Changes, Reply> {
        let _unused = (exchange, body, trailers);
        Ok(Changes::none())
    }

    /// A piece, where it wished for pieces.
    fn on_chunk(&mut self, exchange: u64, data: Vec<u8>) -> ChunkVerdict {
        let _unused = (exchange, data);
        ChunkVerdict::Pass
    }

    /// There are no more pieces.
    fn on_end(&mut self, exchange: u64, trailers: Vec<Field>) -> EndVerdict {
        let _unused = (exchange, trailers);
        EndVerdict::Pass
    }

    /// The body has ended or broken off: forget the exchange.
    fn close(&mut self, exchange: u64) {
        let _unused = exchange;
    }
}

/// Hook `balancer`: which peer of an upstream a request goes to. nginx: the load balancing
/// method of an `upstream`. A failure never costs a request: the upstream's own policy chooses.
///
/// ```
/// use std::collections::HashMap;
/// use tidegate_plugin::testing::{self, Load};
/// use tidegate_plugin::{Balancer, ConfiguredAsIs, Peer, peers, request};
///
/// /// Sends each request to the version that it names, to the peer that serves the least.
/// #[derive(serde::Deserialize)]
/// struct Canary {
///     header: String,
///     #[serde(skip)]
///     versions: HashMap<(u32, String), Vec<u32>>,
/// }
///
/// impl ConfiguredAsIs for Canary {}
///
/// impl Balancer for Canary {
///     fn update(&mut self, group: u32, _name: String, peers: Vec<Peer>) {
///         self.versions.retain(|(known, _), _| *known != group);
///         for peer in peers {
///             if let Some(version) = peer.tag("version") {
///                 self.versions.entry((group, version.to_owned())).or_default().push(peer.id);
///             }
///         }
///     }
///
///     fn pick(&mut self, group: u32) -> Option<u32> {
///         let version = request::header_text(&self.header)?;
///         let ids = self.versions.get(&(group, version))?.iter();
///         ids.filter_map(|id| Some((peers::active(*id)?, *id))).min().map(|(_, id)| id)
///     }
/// }
///
/// tidegate_plugin::export!(Canary: balancer);
/// # fn main() {
/// let mut canary: Canary = testing::configure(r#"{"header": "x-version"}"#).unwrap();
/// let peer = |id: u32, version: &str| Peer::new(id, format!("10.0.0.{id}:9000")).with_tag("version", version);
/// canary.update(0, "chat".to_owned(), vec![peer(1, "1"), peer(2, "2"), peer(3, "2")]);
/// let request = testing::Request::get("/").header("X-Version", "2");
/// let load = Load::new().peer(1, 0).peer(2, 7).peer(3, 5);
/// assert_eq!(testing::with_peers(&request, &load, || canary.pick(0)), Some(3));
/// // It was tried and failed: the host tells of it no more.
/// assert_eq!(testing::with_peers(&request, &load.tried(3), || canary.pick(0)), Some(2));
/// # }
/// ```
pub trait Balancer: Plugin {
    /// The peers of a group (an upstream), before the first [`Balancer::pick`] for it and again
    /// when they have changed. There is no request here to read, and [`crate::peers`] traps.
    fn update(&mut self, group: u32, name: String, peers: Vec<Peer>);

    /// The id of the peer that the current request goes to; none leaves it to the upstream's own
    /// policy. Asked again for each further try. The id must be one for which
    /// [`crate::peers::active`] has a number.
    fn pick(&mut self, group: u32) -> Option<u32>;
}

/// Hook `response-headers`: what the client will see. nginx: `add_header`,
/// `proxy_hide_header`. [`crate::response`] can be read.
///
#[doc = include_str!("hook/response-headers.md")]
pub trait ResponseHeaders: Plugin {
    /// The edits to make, in order.
    ///
    /// # Errors
    /// Another answer; for a 101 this refuses the handshake.
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply>;
}

/// Hook `response-body`: what upstreams, and files, answer behind the head. All calls for one exchange
/// go to one value of the plugin, which others may share: keep what you know of one under its
/// number. A plugin implements what it wishes for: `on_body`, or `on_chunk` and `on_end`.
///
pub trait ResponseBody: Plugin {
    /// An answer with a body; [`crate::request`] and [`crate::response`] can be read.
    fn open(&mut self, exchange: u64) -> Wish;

    /// All of it, where [`ResponseBody::open`] wished for it whole. [`crate::request`] and
    /// [`crate::response`] can be read.
    ///
    /// # Errors
    /// An answer to give instead of the upstream's.
    fn on_body(&mut self, exchange: u64, body: Vec<u8>, trailers: Vec<Field>) -> Result<Changes, Reply> {
        let _unused = (exchange, body, trailers);
        Ok(Changes::none())
    }

    /// A piece, where it wished for pieces.
    fn on_chunk(&mut self, exchange: u64, data: Vec<u8>) -> ChunkVerdict {
        let _unused = (exchange, data);
        ChunkVerdict::Pass
    }

    /// There are no more pieces.
    fn on_end(&mut self, exchange: u64, trailers: Vec<Field>) -> EndVerdict {
        let _unused = (exchange, trailers);
        EndVerdict::Pass
    }

    /// The body has ended or broken off: forget the exchange.
    fn close(&mut self, exchange: u64) {
        let _unused = exchange;
    }
}

/// Hook `messages`: what flows through an open WebSocket. All calls for one tunnel go to one value
/// of the plugin, which many tunnels share: keep what you know of a tunnel under its number.
///
/// ```
/// use std::collections::HashMap;
/// use tidegate_plugin::messages::{Message, Subscription, Verdict};
/// use tidegate_plugin::{ConfiguredAsIs, Messages, testing};
///
/// /// Ends a tunnel whose client has sent more messages than it may.
/// #[derive(serde::Deserialize)]
/// struct Budget {
///     most: u32,
///     #[serde(skip)]
///     sent: HashMap<u64, u32>,
/// }
///
/// impl ConfiguredAsIs for Budget {}
///
/// impl Messages for Budget {
///     fn open(&mut self, tunnel: u64) -> Option<Subscription> {
///         self.sent.insert(tunnel, 0);
///         // It only counts: none of their bytes are needed.
///         Some(Subscription::to_upstream().first(0))
///     }
///
///     fn on_message(&mut self, tunnel: u64, _message: Message, _data: Vec<u8>) -> Verdict {
///         let sent = self.sent.entry(tunnel).or_default();
///         *sent += 1;
///         if *sent > self.most { Verdict::closing(1008, "too many messages") } else { Verdict::Pass }
///     }
///
///     fn close(&mut self, tunnel: u64) {
///         self.sent.remove(&tunnel);
///     }
/// }
///
/// tidegate_plugin::export!(Budget: messages);
/// # fn main() {
/// let mut budget: Budget = testing::configure(r#"{"most": 1}"#).unwrap();
/// let mut tunnel = testing::Tunnel::open(&mut budget, &testing::Request::get("/ws")).expect("it looks");
/// assert_eq!(tunnel.client_says("one"), Verdict::Pass);
/// assert_eq!(tunnel.upstream_says("not asked about"), Verdict::Pass);
/// assert_eq!(tunnel.client_says("two"), Verdict::closing(1008, "too many messages"));
/// # }
/// ```
pub trait Messages: Plugin {
    /// A tunnel opens; [`crate::request`] and [`crate::response`] can be read here and in no other
    /// function of this hook. None: show me nothing of it.
    fn open(&mut self, tunnel: u64) -> Option<Subscription>;

    /// A message: whole, unmasked, inflated, and UTF-8 where it is text; cut where the
    /// subscription says so.
    fn on_message(&mut self, tunnel: u64, message: Message, data: Vec<u8>) -> messages::Verdict;

    /// The tunnel has ended.
    fn close(&mut self, tunnel: u64);
}

/// Hook `tunnel`: when tunnels open and end. The calls are made off the tunnel's path, in any value
/// of the plugin. [`crate::request`] and [`crate::response`] can be read.
///
#[doc = include_str!("hook/tunnel.md")]
pub trait Tunnel: Plugin {
    /// A tunnel has opened.
    fn on_open(&mut self, tunnel: u64);

    /// It has ended.
    fn on_close(&mut self, tunnel: u64, summary: messages::Summary);
}

/// Hook `access-log`: what happened. Runs after a request or tunnel ended, off its path.
///
#[doc = include_str!("hook/access-log.md")]
pub trait AccessLog: Plugin {
    /// The exchange ended.
    fn on_end(&mut self, summary: Summary);
}

/// What the configuration looks like, as a JSON Schema: the proxy then tells each wrong value with its
/// line, and `tidegate plugin inspect` shows it. Which keywords it may use is said in
/// `docs/plugins/config-schema.md`. Exported by the word `config_schema`, beside the hooks.
///
/// Written by hand it is a file beside the code. The crate `schemars` makes it of the type:
/// `serde_json::to_string(&schemars::schema_for!(Config))`.
///
/// ```
/// use tidegate_plugin::{ConfigSchema, ConfiguredAsIs, Decision, Origin, testing};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Closed {
///     from_hour: u8,
/// }
///
/// impl ConfiguredAsIs for Closed {}
///
/// impl ConfigSchema for Closed {
///     fn config_schema() -> String {
///         r#"{
///             "type": "object",
///             "properties": { "from_hour": { "type": "integer", "minimum": 0, "maximum": 23 } },
///             "required": ["from_hour"],
///             "additionalProperties": false
///         }"#
///         .to_owned()
///     }
/// }
///
/// impl Origin for Closed {
///     fn check(&mut self) -> Decision {
///         Decision::Next
///     }
/// }
///
/// tidegate_plugin::export!(Closed: origin, config_schema);
/// # fn main() {
/// let plugin: Closed = testing::configure(r#"{"from_hour": 22}"#).unwrap();
/// assert_eq!(plugin.from_hour, 22);
/// # }
/// ```
pub trait ConfigSchema: Plugin {
    /// The schema of [`Plugin::Config`], as JSON text.
    fn config_schema() -> String;
}
