//! What a key of the configuration is: where it stands, what it takes, what it is without.

use std::fmt;
use std::time::Duration;

use super::units::{ShownDuration, ShownSize};

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
    Map,
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
    SiteTls,
    ClientAuth,
    Breaker,
    Admission,
    Messages,
}

impl Section {
    /// Every section, in the order of the reference.
    pub(super) const ALL: [Self; 37] = [
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
        Self::Map,
        Self::Site,
        Self::Route,
        Self::Rewrite,
        Self::Respond,
        Self::Timeouts,
        Self::Messages,
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
        Self::SiteTls,
        Self::ClientAuth,
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
            Self::Map => "[maps.NAME]",
            Self::Site => "[[sites]]",
            Self::Route => "[[sites.routes]]",
            Self::Rewrite => "rewrites = [{ … }]",
            Self::Respond => "respond = { … }",
            Self::Timeouts => "timeouts = { … }",
            Self::Messages => "messages = { … }",
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
            Self::SiteTls => "tls = { … } of a site",
            Self::ClientAuth => "client_auth = { … }",
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
            Self::Timeouts => "Each one that is absent on a route is the site's.",
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
            Self::ListenerTls => {
                "What a listener offers; `tls = true` for all defaults. Certificates are the sites'. nginx: `listen … ssl`."
            }
            Self::SiteTls => {
                "A certificate chain and its key; a list of them for several types of keys. A client gets the first that \
                 it understands, by the name that it asks for. Read again when the files change, which no connection \
                 notices. nginx: `ssl_certificate`."
            }
            Self::ClientAuth => "Certificates of clients. nginx: `ssl_verify_client`.",
            Self::Cors => {
                "Cross-origin resource sharing (the Fetch standard): preflights are answered with 204, and responses \
                 get the headers that the origin may have."
            }
            _ => "",
        }
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count { least: u64, most: u64 },
    /// See [`super::units::parse_duration`].
    Duration { least: Duration, most: Duration },
    /// See [`super::units::parse_size`].
    Size { least: u64, most: u64 },
    /// A string that is not empty.
    Text,
    /// A string that may be empty.
    AnyText,
    /// `IP:PORT`.
    Address,
    /// One of these words. The `later` ones are known and not there yet.
    Choice { now: &'static [&'static str], later: &'static [&'static str] },
    /// A list of strings.
    Texts,
    /// A table of strings.
    TextMap,
    /// A table of anything that JSON can express.
    Free,
    /// A string, or `{ from_file = … }`, or `{ from_env = … }`.
    Secret,
    /// A table with keys of its own.
    Table(Section),
    /// A list of such tables.
    Tables(Section),
    /// A table of such tables, by name.
    Named(Section),
    /// A list whose items are strings or such tables.
    TextsOrTables(Section),
    /// Such a table, or `false`.
    TableOrFalse(Section),
    /// Such a table, or `true` for an empty one, or `false`.
    TableOrFlag(Section),
    /// Such a table, a list of such tables, or `false`.
    TablesOrFalse(Section),
    /// Known, and not there yet.
    Later,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("boolean"),
            Self::Count { least, most } => write!(f, "integer, {least} to {most}"),
            Self::Duration { least, .. } if least.is_zero() => f.write_str("duration, 0s too"),
            Self::Duration { .. } => f.write_str("duration"),
            Self::Size { least, most } => write!(f, "size, {} to {}", ShownSize(*least), ShownSize(*most)),
            Self::Text | Self::AnyText => f.write_str("string"),
            Self::Address => f.write_str("`IP:PORT`"),
            Self::Choice { now, .. } => {
                for (i, word) in now.iter().enumerate() {
                    write!(f, "{}`\"{word}\"`", if i == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            Self::Texts => f.write_str("list of strings"),
            Self::TextMap => f.write_str("table of strings"),
            Self::Free => f.write_str("table"),
            Self::Secret => f.write_str("string, `{ from_file = \"…\" }` or `{ from_env = \"…\" }`"),
            Self::Table(section) | Self::Tables(section) | Self::Named(section) => {
                write!(f, "`{}`", section.heading())
            }
            Self::TextsOrTables(section) => write!(f, "list of strings or tables (`{}`)", section.heading()),
            Self::TableOrFalse(_) => f.write_str("table, or `false`"),
            Self::TableOrFlag(section) => write!(f, "`{}`, or boolean", section.heading()),
            Self::TablesOrFalse(section) => write!(f, "`{}`, list of such tables, or `false`", section.heading()),
            Self::Later => f.write_str("not supported yet"),
        }
    }
}

/// What a key is where the file does not have it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// It must be there.
    Required,
    /// Nothing, or something that the file's other parts decide: as described.
    Other(&'static str),
    Flag(bool),
    Count(u64),
    Duration(Duration),
    Size(u64),
    Text(&'static str),
    Texts(&'static [&'static str]),
}

impl fmt::Display for Default {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Other(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "`{flag}`"),
            Self::Count(count) => write!(f, "`{count}`"),
            Self::Duration(duration) => write!(f, "`\"{}\"`", ShownDuration(*duration)),
            Self::Size(size) => write!(f, "`\"{}\"`", ShownSize(*size)),
            Self::Text(text) => write!(f, "`{text:?}`"),
            Self::Texts(texts) => write!(f, "`{texts:?}`"),
        }
    }
}

/// A key of the configuration. All of them stand in [`super::keys`].
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Where it may stand.
    pub(super) sections: &'static [Section],
    pub(super) kind: Kind,
    pub(super) default: Default,
    /// nginx's directives for it, or empty.
    pub(super) nginx: &'static str,
    /// One sentence, without what `kind` and `default` say.
    pub(super) doc: &'static str,
}

impl Key {
    /// Whether it may stand in this section.
    pub(super) fn stands_in(&self, section: Section) -> bool {
        self.sections.contains(&section)
    }

    /// Whether it can be used, and is not just known to come.
    pub(super) fn supported(&self) -> bool {
        !matches!(self.kind, Kind::Later)
    }

    /// nginx's directives that mean this key and nothing else.
    pub(super) fn directives(&self) -> impl Iterator<Item = &'static str> {
        self.nginx.split(", ").filter(|d| !d.is_empty() && !d.contains(' '))
    }
}
