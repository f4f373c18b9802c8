//! The tables of a file that have keys of their own.

/// A table of the file that has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Top,
    Server,
    Log,
    AccessLog,
    LogFormat,
    Admin,
    Listener,
    Resolver,
    Upstream,
    UpstreamTls,
    Peer,
    Hash,
    Sticky,
    Health,
    Plugin,
    Quarantine,
    Kv,
    Map,
    Stream,
    Site,
    Route,
    Rewrite,
    Respond,
    Timeouts,
    Compress,
    AuthBasic,
    AuthRequest,
    RealIp,
    ProxyProtocol,
    Zone,
    Limits,
    RateRule,
    OpenRule,
    Cors,
    ListenerTls,
    Http3,
    SiteTls,
    ClientAuth,
    Breaker,
    Admission,
    RedirectHttps,
    Messages,
    Bodies,
    Acme,
}

impl Section {
    /// Every section, in the order of the reference.
    pub(super) const ALL: [Self; 44] = [
        Self::Top,
        Self::Server,
        Self::Log,
        Self::AccessLog,
        Self::LogFormat,
        Self::Admin,
        Self::Listener,
        Self::Resolver,
        Self::Upstream,
        Self::UpstreamTls,
        Self::Peer,
        Self::Breaker,
        Self::Admission,
        Self::Hash,
        Self::Sticky,
        Self::Health,
        Self::Plugin,
        Self::Quarantine,
        Self::Kv,
        Self::Map,
        Self::Stream,
        Self::Site,
        Self::Route,
        Self::Rewrite,
        Self::Respond,
        Self::RedirectHttps,
        Self::Timeouts,
        Self::Messages,
        Self::Bodies,
        Self::Compress,
        Self::AuthBasic,
        Self::AuthRequest,
        Self::RealIp,
        Self::ProxyProtocol,
        Self::Zone,
        Self::Limits,
        Self::RateRule,
        Self::OpenRule,
        Self::Cors,
        Self::ListenerTls,
        Self::Http3,
        Self::SiteTls,
        Self::ClientAuth,
        Self::Acme,
    ];

    /// As it is written in the file.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Top => "top level",
            Self::Server => "[server]",
            Self::Log => "[log]",
            Self::AccessLog => "[access_log]",
            Self::LogFormat => "[log_formats.NAME]",
            Self::Admin => "[admin]",
            Self::Listener => "[[listeners]]",
            Self::Resolver => "[resolver]",
            Self::Upstream => "[upstreams.NAME]",
            Self::UpstreamTls => "tls = { … }",
            Self::Peer => "peers = [{ … }]",
            Self::Breaker => "breaker = { … }",
            Self::Admission => "admission = { … }",
            Self::Hash => "hash = { … }",
            Self::Sticky => "sticky = { … }",
            Self::Health => "health = { … }",
            Self::Plugin => "[plugins.NAME]",
            Self::Quarantine => "quarantine = { … }",
            Self::Kv => "[kv.NAME]",
            Self::Map => "[maps.NAME]",
            Self::Stream => "[[streams]]",
            Self::Site => "[[sites]]",
            Self::Route => "[[sites.routes]]",
            Self::Rewrite => "rewrites = [{ … }]",
            Self::Respond => "respond = { … }",
            Self::RedirectHttps => "redirect_https = { … }",
            Self::Timeouts => "timeouts = { … }",
            Self::Messages => "messages = { … }",
            Self::Bodies => "bodies = { … }",
            Self::Compress => "compress = { … }",
            Self::AuthBasic => "auth_basic = { … }",
            Self::AuthRequest => "auth_request = { … }",
            Self::RealIp => "[real_ip]",
            Self::ProxyProtocol => "proxy_protocol = { … }",
            Self::Zone => "[limits.NAME]",
            Self::Limits => "limits = { … }",
            Self::RateRule => "rate = [{ … }]",
            Self::OpenRule => "concurrent = [{ … }]",
            Self::Cors => "cors = { … }",
            Self::ListenerTls => "tls = { … } of a listener",
            Self::Http3 => "http3 = { … }",
            Self::SiteTls => "tls = { … } of a site",
            Self::ClientAuth => "client_auth = { … }",
            Self::Acme => "[acme]",
        }
    }

    /// Where that is, in a sentence.
    pub(super) fn place(self) -> String {
        match self {
            Self::Top => "at the top level".to_owned(),
            other => format!("in {}", other.heading()),
        }
    }

    /// What it is for.
    #[allow(clippy::too_many_lines, reason = "a table: one text for each section")]
    pub(super) fn doc(self) -> &'static str {
        match self {
            Self::Top => "The tables that a file consists of.",
            Self::Server => "What concerns the process.",
            Self::Log => "What the process says about itself, on standard error.",
            Self::AccessLog => {
                "One line per request or tunnel; `[[access_log]]`, or a list, for several. What a site or route says \
                 takes the place of what is said above it as a whole; requests that no route takes are logged as the \
                 top level says. nginx: `access_log`."
            }
            Self::LogFormat => {
                "The form of access log lines: `template` or `json`. `combined`, `upgrade` and `json` are always \
                 there. nginx: `log_format`."
            }
            Self::Admin => "The operator's own HTTP address; without the table there is none.",
            Self::Listener => "An address that clients connect to; at least one. nginx: `listen`.",
            Self::Resolver => {
                "How the names of peers are looked up. `/etc/hosts` comes first and is read anew each minute. Every \
                 address that a name has is a peer. What is known stays in use while the name servers fail or say \
                 that there is no such name. nginx: `resolver`."
            }
            Self::Upstream => "A group of backends. nginx: `upstream`.",
            Self::UpstreamTls => {
                "TLS towards the peers of an upstream. A route's own `https://` or `wss://` address has it with all \
                 defaults. Sessions are resumed. nginx: `proxy_ssl_…`."
            }
            Self::Peer => "One backend of an upstream. nginx: `server` in `upstream`.",
            Self::Breaker => {
                "Each peer's own; it opens where `failures` of what the peer was asked within `window` failed, keeps \
                 requests away for `open`, then lets one try the peer, and closes where that one is answered. A failure \
                 is no answer, a bad one, or one with a status from 500 on. Unlike `max_fails` it acts on a peer that is \
                 alone too."
            }
            Self::Admission => {
                "How much an upstream is given at once, over all workers and from before a peer is picked to the head of \
                 the answer, so that clients that all come back at the same time cannot flatten it. Who finds no place \
                 waits in order; who finds no room to wait or waits too long gets a 503 with `Retry-After`."
            }
            Self::Sticky => {
                "Requests and tunnels of a session go to one peer, one that drains too, as long as it can serve; else \
                 the policy chooses another. By `cookie` (with `secret`), by `route`, or by what is learnt from answers \
                 (`create` and `lookup`). nginx: `sticky`."
            }
            Self::Hash => "What the policy `hash` goes by. nginx: `hash`.",
            Self::Health => {
                "Checks of an upstream's peers, once in the process for each. A peer that fails them gets no requests and \
                 no new tunnels until it passes again; where all have failed, requests are answered with 502. What is \
                 known of a peer goes on over reloads. Over TLS and Unix sockets peers are checked as they are used. \
                 nginx Plus: `health_check`."
            }
            Self::Plugin => {
                "A Wasm component. One with a stock plugin's name, such as `router` or `auth-basic`, takes the place \
                 of that stock plugin everywhere. A file without `config` gets the configuration that Tidegate makes \
                 for the stock one; a file with `config` gets that alone; for a stock component the keys of `config` \
                 go on top of what is made."
            }
            Self::Map => "A variable `$NAME` for header values, made from others. nginx: `map`.",
            Self::Site => {
                "What is served under some host names; at least one. Keys that routes know too are the default of \
                 all its routes. nginx: `server`."
            }
            Self::Route => "What happens to requests for some paths. nginx: `location`.",
            Self::Rewrite => "A rule for the path; rules are applied in order. nginx: `rewrite`.",
            Self::Respond => "A redirect or a fixed answer. nginx: `return`.",
            Self::Compress => {
                "Answers with 200, 403 or 404 that have no Content-Encoding and no `Cache-Control: no-transform`; they \
                 get `Vary: Accept-Encoding`. nginx: `gzip`."
            }
            _ => self.doc_of_a_part(),
        }
    }

    /// The same for what stands within sites, routes and listeners, or is named by them.
    fn doc_of_a_part(self) -> &'static str {
        match self {
            Self::Kv => {
                "A store of keys and values for plugins (interface `kv`), which `grants` names. Without `url` it is in \
                 memory: all workers share it, and it goes on over reloads. services.md has more."
            }
            Self::Stream => {
                "Connections that are passed on as they are, before HTTP or in its place. With `names`, `alpn` or `default`: \
                 those of TLS clients that ask for them, without being terminated; what else comes at the same listener goes \
                 on to the sites. With none of them: all that comes at its listeners, out of TLS where they have `tls`. See \
                 streams.md. nginx: a `server` of `stream`."
            }
            Self::Quarantine => {
                "While a plugin rests, it is not run: what its calls would be is decided by `on_failure` at once. What \
                 counts are calls that trap, pass a limit or answer what the contract forbids, and instances that cannot be \
                 made; on all workers together. Open tunnels whose instance has not failed stay with it. A plugin that \
                 fails at start or reload is refused there."
            }
            Self::RedirectHttps => {
                "Where clients are sent that came without TLS; `redirect_https = true` for all defaults. nginx: \
                 `return 301 https://$host$request_uri` in a `server` of its own."
            }
            Self::Timeouts => "Each one that is absent on a route is the site's.",
            Self::Messages => {
                "What plugins with hook `messages` see of WebSockets, and how the proxy speaks the protocol for them. \
                 docs/messages.md has more."
            }
            Self::Bodies => {
                "What plugins with hooks `request-body` and `response-body` see of requests and answers. docs/bodies.md \
                 has more."
            }
            Self::AuthBasic => "User name and password (RFC 7617). nginx: `auth_basic`.",
            Self::AuthRequest => {
                "An upstream is asked about each request, with a GET that has the request's headers and no body: 2xx \
                 lets it pass, 401 and 403 refuse it, anything else is a 500. nginx: `auth_request`."
            }
            Self::RealIp => {
                "The client's address behind other proxies: limits, access lists, logs, headers and plugins see it in \
                 place of the proxy's. nginx: `set_real_ip_from`."
            }
            Self::ProxyProtocol => {
                "What stands before the first byte of each connection: versions 1 and 2 are read, within \
                 `server.header_timeout`. Limits, access lists, logs, headers and plugins see the address that it names \
                 in place of the sender's, and `real_ip` starts from it. nginx: `listen … proxy_protocol` with \
                 `real_ip_header proxy_protocol`."
            }
            Self::Zone => {
                "What is counted by a key, over all workers. It goes on over a reload that leaves `key` and `size` as \
                 they are. nginx: `limit_req_zone`, `limit_conn_zone`."
            }
            Self::Limits => {
                "Limits of sites and routes, in the order of nginx: size, then rates, then numbers. nginx: \
                 `client_max_body_size`, `limit_req`, `limit_conn`."
            }
            Self::RateRule => "A rate that holds. nginx: `limit_req`.",
            Self::OpenRule => "Numbers that hold, at least one of them. nginx: `limit_conn`.",
            Self::ListenerTls => "What a listener offers; `tls = true` for all defaults. nginx: `listen … ssl`.",
            Self::Http3 => {
                "HTTP/3 over QUIC, at the same address and port over UDP, with the same sites, certificates and limits \
                 (`protocols = [\"h1\", \"h2\", \"h3\"]`). Without 0-RTT: what comes before a handshake is over can be \
                 sent again by anyone. A client that changes its address keeps its connection, whose address for \
                 limits, access lists and logs stays the first one."
            }
            Self::SiteTls => {
                "A certificate chain and its key; a list of them for several types of keys. A client gets the first that \
                 it understands, by the name that it asks for. Read again when the files change, which no connection \
                 notices. nginx: `ssl_certificate`."
            }
            Self::ClientAuth => "Certificates of clients. nginx: `ssl_verify_client`.",
            Self::Acme => "Who issues certificates (ACME, RFC 8555): [tls.md](tls.md). nginx: `ngx_http_acme_module`.",
            Self::Cors => {
                "Cross-origin resource sharing (the Fetch standard): preflights are answered with 204, and responses \
                 get the headers that the origin may have."
            }
            _ => "",
        }
    }
}
