//! The one table of all keys. What does not stand here cannot be read, and `docs/config.md`
//! is generated from it.

use std::sync::LazyLock;

use super::defaults as d;
use super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required, Size as Z, Text as S, Texts as L};
use super::key::Kind::{
    Address, AnyText, Choice, Count, Duration, Flag, Free, Named, Size, Table, TableOrFalse, Tables, TablesOrFalse,
    Text, TextMap, Texts, TextsOrTables,
};
use super::key::Section::{
    AccessLog, Admin, Limits, Listener, Log, LogFormat, Map, OpenRule, Plugin, ProxyProtocol, RateRule, RealIp,
    Respond, Rewrite, Route, Server, Site, Timeouts, Top, Upstream, Zone,
};
use super::key::{Key, Kind, Section};

/// Keys as constants and as one list: a key that the reader can name is in the list.
macro_rules! keys {
    ($(
        $id:ident = $name:literal in [$($section:ident),+] : $kind:expr, $default:expr, $nginx:literal, $doc:literal;
    )*) => {
        $(pub(in crate::config) static $id: Key = Key {
            name: $name, sections: &[$($section),+], kind: $kind, default: $default, nginx: $nginx, doc: $doc,
        };)*
        /// The keys of this file.
        static PART: &[&Key] = &[$(&$id),*];
    };
}

mod access;
mod acme;
mod auth;
mod balance;
mod content;
mod health;
mod http3;
mod kv;
mod messages;
mod plugin_limits;
mod retry;
mod routing;
mod secure;
mod streams;
mod tls;
mod upstream;

pub(super) use access::*;
pub(super) use acme::*;
pub(super) use auth::*;
pub(super) use balance::*;
pub(super) use content::*;
pub(super) use health::*;
pub(super) use http3::*;
pub(super) use kv::*;
pub(super) use messages::*;
pub(super) use plugin_limits::*;
pub(super) use retry::*;
pub(super) use routing::*;
pub(super) use secure::*;
pub(super) use streams::*;
pub(super) use tls::*;
pub(super) use upstream::*;
/// Every key, in the order of the reference.
pub(super) static ALL: LazyLock<Vec<&Key>> = LazyLock::new(|| {
    let parts = [content_keys(), routing_keys(), auth_keys(), tls_keys(), acme_keys(), http3_keys(), secure_keys()];
    let more = [balance_keys(), upstream_keys(), health_keys(), retry_keys(), stream_keys(), message_keys()];
    let more = more.into_iter().chain([plugin_limit_keys(), access_keys(), kv_keys()]);
    PART.iter().chain(parts.into_iter().chain(more).flatten()).copied().collect()
});

const WAIT: Kind = Duration { least: d::LEAST_TIME, most: d::MOST_TIME };
const WAIT_OR_NOT: Kind = Duration { least: std::time::Duration::ZERO, most: d::MOST_TIME };
const REFUSAL: Kind = Count { least: 400, most: 599 };
const REFUSALS: Kind = Count { least: 0, most: d::MOST_BURST };
const CAP: Kind = Count { least: 1, most: d::MOST_OPEN };
const LEVELS: Kind = Choice { now: &["error", "warn", "info"], later: &[] };

keys! {
    SERVER = "server" in [Top]: Table(Server), Other("all defaults"), "", "What concerns the process.";
    LOG = "log" in [Top]: Table(Log), Other("all defaults"), "error_log", "The process's own log.";
    ACCESS_LOG = "access_log" in [Top, Site, Route]: TablesOrFalse(AccessLog), Other("off"), "access_log",
        "One line per request or tunnel; `false` for none.";
    LOG_FORMATS = "log_formats" in [Top]: Named(LogFormat), Other("none"), "log_format", "Forms of access log lines.";
    ADMIN = "admin" in [Top]: Table(Admin), Other("none"), "stub_status", "The operator's own address.";
    LISTENERS = "listeners" in [Top]: Tables(Listener), Other("required"), "listen", "Where clients connect.";
    UPSTREAMS = "upstreams" in [Top]: Named(Upstream), Other("none"), "upstream", "Groups of backends.";
    PLUGINS = "plugins" in [Top]: Named(Plugin), Other("the stock ones"), "", "Wasm components.";
    REAL_IP = "real_ip" in [Top]: Table(RealIp), Other("none"), "",
        "Which proxies in front are believed when they say who the client is.";
    ZONES = "limits" in [Top]: Named(Zone), Other("none"), "limit_req_zone, limit_conn_zone",
        "What rates and numbers are counted by; sites and routes name them in their own `limits`.";
    MAPS = "maps" in [Top]: Named(Map), Other("none"), "map", "Variables made from others.";
    ROUTERS = "routers" in [Top]: Texts, L(d::ROUTERS), "",
        "The plugins that are asked for a request's route, in order, until one knows; `\"router\"` is the stock one, \
         or what `[plugins.router]` puts in its place, and `\"stock:router\"` always the stock one.";
    SITES = "sites" in [Top]: Tables(Site), Other("required without `streams`"), "server", "What is served under which host names.";

    WORKERS = "workers" in [Server]: Count { least: 1, most: d::MOST_WORKERS }, Other("number of cores"),
        "worker_processes",
        "Worker threads; a reload does not change it.";
    IO_URING = "io_uring" in [Server]: Flag, B(true), "",
        "Whether tunnels of many small messages over plain TCP use `io_uring(7)`: a system call moves several. Without \
         where the kernel has none (before Linux 6.1) or allows none, as with Docker's profile. A reload does not change it.";
    DRAIN_TIMEOUT = "drain_timeout" in [Server]: WAIT_OR_NOT, T(d::DRAIN_TIMEOUT), "worker_shutdown_timeout",
        "How long a drain waits for requests and tunnels before it closes what is left.";
    PID_FILE = "pid_file" in [Server]: Text, Other("none"), "pid",
        "Where the process id is written; a reload does not change it.";
    CACHE_DIR = "cache_dir" in [Server]: Text, Other("`$XDG_CACHE_HOME/tidegate` or `~/.cache/tidegate`"), "",
        "The folder that keeps compiled components; `\"off\"` keeps none.";
    HEADER_TIMEOUT = "header_timeout" in [Server]: WAIT, T(d::HEADER_TIMEOUT), "client_header_timeout",
        "How long a client may take to send a request's head.";
    KEEPALIVE_TIMEOUT = "keepalive_timeout" in [Server]: WAIT_OR_NOT, T(d::KEEPALIVE_TIMEOUT), "keepalive_timeout",
        "How long an idle client connection is kept.";
    MAX_HEAD = "max_head" in [Server]: Size { least: d::LEAST_HEAD, most: d::MOST_HEAD }, Z(d::MAX_HEAD),
        "large_client_header_buffers",
        "The largest head of a request; a larger one is answered with 431.";
    MAX_CONNECTIONS = "max_connections" in [Server]: Count { least: 0, most: d::MOST_LIMIT }, N(0),
        "worker_connections",
        "Client connections, tunnels among them, that one worker keeps open; one more is closed at once. 0: no limit.";
    MAX_CLIENT_CONNECTIONS = "max_client_connections" in [Server]: Count { least: 0, most: d::MOST_OPEN }, N(0),
        "",
        "Connections that one client address keeps open, over all workers; one more is closed at once. 0: no limit.";
    SERVER_HEADER = "server_header" in [Server]: Text, S(d::SERVER_HEADER), "server_tokens",
        "The `Server` header of every answer, in place of the upstream's; `\"off\"` sends none.";
    MAX_LINE = "max_line" in [Server]: Size { least: d::LEAST_LINE, most: d::MOST_HEAD }, Z(d::MAX_LINE),
        "large_client_header_buffers",
        "The longest line of a head, in each version of HTTP: a longer request line gets 414, a longer header line 431.";
    BODY_TIMEOUT = "body_timeout" in [Server]: WAIT, T(d::BODY_TIMEOUT), "client_body_timeout",
        "How long a client may send nothing within a request's body.";
    SEND_TIMEOUT_CLIENT = "send_timeout" in [Server]: WAIT, T(d::SEND_TIMEOUT), "send_timeout",
        "How long a client may take no bytes of an answer.";
    KEEPALIVE_REQUESTS = "keepalive_requests" in [Server]: Count { least: 1, most: d::MOST_REQUESTS },
        N(d::KEEPALIVE_REQUESTS), "keepalive_requests",
        "How many requests a client connection serves.";
    KEEPALIVE_TIME = "keepalive_time" in [Server]: WAIT, T(d::KEEPALIVE_TIME), "keepalive_time",
        "How long a client connection serves requests; the next one after that is its last.";

    LEVEL = "level" in [Log]: Text, S(d::LOG_LEVEL), "error_log",
        "Which lines are written: `error`, `warn`, `info`, `debug`, `trace`, `off`, or a list by module such as \
         `info,tidegate::plugin=debug`; a reload does not change it.";
    DEBUG_CLIENTS = "debug_clients" in [Log]: Texts, Other("none"), "debug_connection",
        "Addresses and ranges, such as `192.0.2.0/24`, of clients whose every request is told of at level `debug`.";
    ROUTE_LOG_LEVEL = "log_level" in [Site, Route]: Choice { now: &["error", "warn", "info", "debug"], later: &[] },
        Other("that of `[log]`"), "error_log",
        "Which lines about its requests are written to the process's log.";

    LOG_PATH = "path" in [AccessLog]: Text, S(d::ACCESS_LOG), "access_log", "A file, `\"stdout\"` or `\"off\"`.";
    LOG_FORMAT = "format" in [AccessLog]: Text, S(d::ACCESS_LOG_FORMAT), "access_log",
        "nginx's `combined`; `upgrade`, which is that and then upgrade token, peer, durations, bytes each way and \
         cause; `json`; or a name of `[log_formats]`.";
    LOG_IF = "if" in [AccessLog]: AnyText, Other("every line is written"), "access_log … if=",
        "Text with variables; where it is empty or `0`, the line is not written.";
    LOG_BUFFER = "buffer" in [AccessLog]: Size { least: 1, most: d::MOST_LOG_BUFFER },
        Other("`\"64KiB\"` with `flush`; else none: each line is written at once"), "access_log … buffer=",
        "What each worker gathers before it writes.";
    LOG_FLUSH = "flush" in [AccessLog]: WAIT, Other("none: when the buffer is full"), "access_log … flush=",
        "How long a line may wait in the buffer.";
    LOG_TUNNEL_OPENING = "tunnel_opening" in [AccessLog]: Flag, B(false), "",
        "Whether a tunnel has a line when it opens, too; `$tunnel_event` tells them apart.";
    LOG_TUNNEL_INTERVAL = "tunnel_interval" in [AccessLog]: Duration { least: d::LEAST_TIME, most: d::MOST_TIME },
        Other("none"), "",
        "How often an open tunnel has a line; with several logs of a route, the shortest counts for all that have one.";

    FORMAT_TEMPLATE = "template" in [LogFormat]: AnyText, Other("none"), "log_format", "Text with variables.";
    FORMAT_ESCAPE = "escape" in [LogFormat]: Choice { now: &["default", "json", "none"], later: &[] },
        S(d::LOG_ESCAPE), "log_format … escape=",
        "How values stand in `template`: `default` writes `\"`, `\\` and what is not printable ASCII as `\\xXX` and `-` \
         for no value, `json` as in JSON strings, `none` as they are.";
    FORMAT_JSON = "json" in [LogFormat]: TextMap, Other("none"), "",
        "A JSON object for each line: names and texts with variables; a variable alone that is a number is one.";

    ADMIN_ADDRESS = "address" in [Admin]: Address, Required, "",
        "Where `/metrics` (Prometheus), `/status` (JSON) and `/stub_status` (nginx's page) are answered; port 0 lets \
         the system choose.";
    ADMIN_ALLOW = "allow" in [Admin]: Texts, Other("all who reach it"), "allow, deny",
        "Addresses and ranges, such as `10.0.0.0/8`, that may ask; others are answered with 403.";

    LISTEN_ADDRESS = "address" in [Listener]: Address, Required, "listen",
        "Address and port; port 0 lets the system choose.";
    BACKLOG = "backlog" in [Listener]: Count { least: 1, most: d::MOST_BACKLOG }, N(d::BACKLOG), "listen … backlog=",
        "Length of the accept queue.";
    PROXY_PROTOCOL = "proxy_protocol" in [Listener]: Kind::TableOrFlag(ProxyProtocol), Other("`false`"),
        "listen … proxy_protocol",
        "Expects a PROXY protocol header; `true` believes everybody who can connect.";
    PROXY_FROM = "from" in [ProxyProtocol]: Texts, Other("everybody"), "set_real_ip_from",
        "Addresses and ranges that are believed; connections of others are closed.";

    COMPONENT = "component" in [Plugin]: Text, Other("required; where NAME is a stock plugin's, that one"), "",
        "The component's file, or `\"stock:NAME\"` for one of the stock plugins.";
    ON_FAILURE = "on_failure" in [Plugin]: Choice { now: &["closed", "open"], later: &[] }, S(d::ON_FAILURE), "",
        "What a failed call means: answer with 500, or go on without the plugin.";
    DEADLINE = "deadline" in [Plugin]: Duration { least: d::LEAST_TIME, most: d::MOST_DEADLINE },
        Other("`\"10ms\"`; auth-basic with bcrypt or apr1 hashes `\"2s\"`, auth-jwt `\"10s\"`, auth-request `\"1m\"`, any with a store in a Redis `\"2s\"`"), "",
        "The longest that one call may take, with what it waits for.";
    MEMORY = "memory" in [Plugin]: Size { least: d::LEAST_MEMORY, most: d::MOST_MEMORY }, Z(d::MEMORY), "",
        "The most memory that one instance may have.";
    HOOKS = "hooks" in [Plugin]: Texts, Other("all that it exports"), "",
        "The hooks to call it for: `router`, `origin`, `authorizer`, `request-headers`, `request-body`, `balancer`, \
         `handler`, `response-headers`, `response-body`, `messages`, `tunnel`, `access-log`.";
    CONFIG = "config" in [Plugin]: Free, Other("`{}`"), "",
        "The plugin's own configuration, handed over as JSON; a table of exactly one key `from_file` or `from_env` \
         is replaced by the text of that file (less one line end) or environment variable.";
    GRANTS = "grants" in [Plugin]: Texts, Other("`[]`; the stock auth-request is granted what `auth_request` names"), "",
        "What it may use besides its requests: `\"http-client:upstream:NAME\"` or `\"http-client:http://HOST:PORT/PATH\"` \
         (or `https://`), where it may send requests of its own; `\"private:10.0.0.0/8\"`, addresses that names of those \
         may have though they are not public; `\"kv:STORE\"` or `\"kv:STORE/PREFIX\"`; `\"secret:NAME\"`; `\"env:NAME\"`. \
         services.md has more.";

    MAP_FROM = "from" in [Map]: AnyText, Required, "", "The value to look up, with variables in it.";
    MAP_DEFAULT = "default" in [Map]: AnyText, S(d::MAP_DEFAULT), "",
        "The variable's value where nothing matches, with variables in it.";
    MAP_VALUES = "values" in [Map]: TextMap, Other("`{}`"), "",
        "Value looked up = the variable's value; `~re` and `~*re` are regular expressions, the second without regard \
         to case, and their captures (`$1`, `$name`) can be used in the value.";
    MAP_HOSTNAMES = "hostnames" in [Map]: Flag, B(false), "hostnames",
        "Whether values looked up are host names, and entries may be `*.x`, `x.*` or `.x` (the name and all below it).";
    MAP_VOLATILE = "volatile" in [Map]: Flag, B(false), "volatile",
        "Whether the value is worked out at each use, and not once a request.";

    NAMES = "names" in [Site]: Texts, Other("`[]`"), "server_name",
        "Host names: `a.example.com`, `*.example.com`, `mail.*` or `~re`, preferred in this order, and \
         `.example.com` for the name and all below it; without any, the site takes only what is left.";
    LISTEN = "listen" in [Site]: Texts, Other("all listeners"), "listen",
        "The listeners that the site is at, by their addresses; names and `default` are chosen among the sites at one.";
    DEFAULT_SITE = "default" in [Site]: Flag, B(false), "listen … default_server",
        "Takes requests that no name matches; where no site says so, the first site does.";
    ROUTES = "routes" in [Site, Route]: Tables(Route), Other("none: on a site every request is answered with 404"),
        "location",
        "What happens to requests for which paths. Within a route: for which of its paths; they have its keys but for \
         those that change or answer the request, and nginx's precedence.";

    ROUTE_NAME = "name" in [Route]: Text, Other("`SITE MATCH`"), "",
        "The route's name for routers, logs and metrics; unique.";
    MATCH = "match" in [Route]: Text, Required, "location",
        "nginx's syntax and precedence: `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`.";
    UPSTREAM = "upstream" in [Site, Route]: Text, Other("required without `root`, `respond` or `handler`"), "proxy_pass",
        "Where requests go: the name of an upstream, or `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT` or \
         `unix:PATH`, which make one of a single peer.";
    ROUTE_PLUGINS = "plugins" in [Site, Route]: Texts, Other("`[]`"), "",
        "Plugins to ask, after the stock ones; the site's come first, then the route's.";
    ORIGINS = "origins" in [Site, Route]: Texts, Other("not checked"), "",
        "The origins whose pages may connect: `https://a.example.com`, `https://*.example.com`, `~re`, `null`, or \
         `*` for all; others are answered with 403 (stock plugin origin-check).";
    MISSING_ORIGIN = "missing_origin" in [Site, Route]: Choice { now: &["deny", "allow"], later: &[] },
        S(d::MISSING_ORIGIN), "",
        "What becomes of a request without Origin where `origins` is given.";
    AUTH_BASIC = "auth_basic" in [Site, Route]: TableOrFalse(Section::AuthBasic), Other("`false`"),
        "auth_basic, auth_basic_user_file",
        "Asks for user name and password (stock plugin auth-basic); `false` switches the site's off.";
    AUTH_REQUEST = "auth_request" in [Site, Route]: TableOrFalse(Section::AuthRequest), Other("`false`"), "auth_request",
        "Asks an upstream whether a request may pass (stock plugin auth-request); `false` switches the site's off.";
    DEFAULT_HEADERS = "default_headers" in [Site, Route]: Flag, B(true), "",
        "Sends the recommended `Host`, `X-Real-IP`, `X-Forwarded-For` and `X-Forwarded-Proto` (stock plugin \
         header-map).";
    SET_HEADERS = "set_headers" in [Site, Route]: TextMap, Other("`{}`"), "proxy_set_header",
        "Headers that the upstream sees with this value, variables replaced; an empty value removes. A route's rules \
         for a name take the place of the site's.";
    APPEND_HEADERS = "append_headers" in [Site, Route]: TextMap, Other("`{}`"), "",
        "As `set_headers`, beside the values that are there.";
    REMOVE_HEADERS = "remove_headers" in [Site, Route]: Texts, Other("`[]`"), "",
        "Headers that the upstream does not see.";
    SET_RESPONSE_HEADERS = "set_response_headers" in [Site, Route]: TextMap, Other("`{}`"), "",
        "As `set_headers`, for what the client sees.";
    APPEND_RESPONSE_HEADERS = "append_response_headers" in [Site, Route]: TextMap, Other("`{}`"),
        "add_header … always",
        "As `append_headers`, for what the client sees, whatever the status and whoever answers.";
    ADD_RESPONSE_HEADERS = "add_response_headers" in [Site, Route]: TextMap, Other("`{}`"), "add_header",
        "As `append_response_headers`, but only where the status is 200, 201, 204, 206, 301, 302, 303, 304, 307 or 308.";
    REMOVE_RESPONSE_HEADERS = "remove_response_headers" in [Site, Route]: Texts, Other("`[]`"), "proxy_hide_header",
        "Headers that the client does not see.";
    PASS_RESPONSE_HEADERS = "pass_response_headers" in [Site, Route]: Texts, Other("`[]`"), "proxy_pass_header",
        "Headers of the upstream that are hidden otherwise: `Server`, `X-Pad` and those that begin with `X-Accel-`.";
    REWRITE_LOCATION = "rewrite_location" in [Site, Route]: TextMap,
        Other("as nginx's `default` where `set_headers` gives the upstream a `Host` of its own, else none"),
        "proxy_redirect",
        "What a Location or Refresh of the upstream begins with, or `~re` or `~*re`, and what the client sees instead, \
         with variables; the first that fits. `{}` leaves them alone.";
    COOKIE_DOMAINS = "cookie_domains" in [Site, Route]: TextMap, Other("`{}`"), "proxy_cookie_domain",
        "A Domain of the upstream's cookies, or `~re`, and what the client sees instead.";
    COOKIE_PATHS = "cookie_paths" in [Site, Route]: TextMap, Other("`{}`"), "proxy_cookie_path",
        "What a Path of the upstream's cookies begins with, or `~re` or `~*re`, and what the client sees instead.";
    COOKIE_FLAGS = "cookie_flags" in [Site, Route]: TextMap, Other("`{}`"), "proxy_cookie_flags",
        "A cookie's name, or `~re`, and its flags: `secure`, `httponly`, `samesite=strict`, `samesite=lax`, \
         `samesite=none`, `nosecure`, `nohttponly`, `nosamesite`.";
    REPLACE_PREFIX = "replace_prefix" in [Route]: Text, Other("none"), "proxy_pass … URI",
        "What the upstream sees in place of the matched prefix; not with a regular expression.";
    REWRITE = "rewrite" in [Route]: Text, Other("none"), "proxy_pass … $1",
        "The path and query that the upstream sees, with `$1` … `$9` and `$name` for what the regular expression of \
         `match` captured; only with one.";
    REWRITES = "rewrites" in [Site, Route]: Tables(Rewrite), Other("none"), "rewrite",
        "Rules that change the path before a route is looked for (on a site) or in the route.";
    RESPOND = "respond" in [Site, Route, Rewrite]: Table(Respond), Other("none"), "return",
        "An answer that is given after `rewrites` instead of looking for a route (on a site) or asking an upstream. In a \
         rule of `rewrites`, with `if`: instead of `to`.";
    ABSOLUTE_REDIRECT = "absolute_redirect" in [Site, Route]: Flag, B(true), "absolute_redirect",
        "Puts scheme, host and port before a Location of the proxy's own that begins with `/`.";
    SITE_NAME_IN_REDIRECT = "site_name_in_redirect" in [Site, Route]: Flag, B(false), "server_name_in_redirect",
        "Takes the site's first name for that instead of the request's host.";
    PORT_IN_REDIRECT = "port_in_redirect" in [Site, Route]: Flag, B(true), "port_in_redirect",
        "Puts the listener's port there where it is not the scheme's.";
    TIMEOUTS = "timeouts" in [Site, Route]: Table(Timeouts), Other("all defaults"), "",
        "How long a peer is waited for.";
    UPGRADE = "upgrade" in [Site, Route]: Texts, L(d::UPGRADE), "",
        "The protocols that a client may switch to; a request for another goes on without its Upgrade header.";
    HALF_CLOSE = "half_close" in [Site, Route]: Flag, B(false), "proxy_half_close",
        "When one side of a tunnel ends, keeps the other direction open.";
    LIMITS = "limits" in [Site, Route]: Table(Limits), Other("all defaults"), "",
        "Limits of rate, number and size; each key that is absent on a route is the site's.";
    ACCESS = "access" in [Site, Route]: Texts, Other("not checked"), "allow, deny",
        "Who may come by address: `allow` or `deny` and an address, a range such as `10.0.0.0/8`, or `all`; the first \
         that fits decides, and where none does the request passes. Others are answered with 403 (stock plugin \
         access-list). A route's list takes the place of the site's.";
    SATISFY = "satisfy" in [Site, Route]: Choice { now: &["all", "any"], later: &[] },
        Other("`\"all\"` with `auth_request`; else every one must accept, but one that grants ends the asking"), "satisfy",
        "Whether all of `access`, `auth_basic`, `auth_request` and plugins that authorize must accept, or one is enough.";
    CORS = "cors" in [Site, Route]: TableOrFalse(Section::Cors), Other("`false`"), "",
        "Lets pages of other origins read answers (stock plugin cors); `false` switches the site's off.";

    REWRITE_MATCH = "match" in [Rewrite]: Text, Other("every path"), "rewrite", "A regular expression for the path.";
    REWRITE_TO = "to" in [Rewrite]: Text, Other("required without `respond` and without `flag = \"break\"`"), "rewrite",
        "The path and query that it becomes, with `$1` … `$9` and variables, or a URL to redirect to. The request's \
         query is added unless it ends with `?`.";
    REWRITE_FLAG = "flag" in [Rewrite]: Choice { now: &["last", "break", "redirect", "permanent"], later: &[] },
        Other("none: the next rule goes on"), "",
        "`last` looks for a route (at most 10 times), `break` stays in this one and gives the whole path to the \
         upstream, `redirect` answers with 302, `permanent` with 301.";

    STATUS = "status" in [Respond]: Count { least: d::LEAST_STATUS, most: d::MOST_STATUS },
        Other("302 with `location`, else 200"), "return",
        "The status; 444 closes the connection without an answer.";
    LOCATION = "location" in [Respond]: Text, Other("none"), "return",
        "Where to redirect to, with variables; goes with 301, 302, 303, 307 and 308.";
    BODY = "body" in [Respond]: AnyText, Other("none"), "return", "The body, with variables.";
    CONTENT_TYPE = "content_type" in [Respond]: Text, S(d::CONTENT_TYPE), "default_type", "The body's type.";

    CONNECT_TIMEOUT = "connect" in [Timeouts]: WAIT, T(d::CONNECT_TIMEOUT), "proxy_connect_timeout",
        "To connect to a peer.";
    READ_TIMEOUT = "read" in [Timeouts]: WAIT, T(d::READ_TIMEOUT), "proxy_read_timeout",
        "Between two reads from a peer; in a tunnel, between two reads from either side.";
    SEND_TIMEOUT = "send" in [Timeouts]: WAIT, T(d::SEND_TIMEOUT), "proxy_send_timeout",
        "Between two writes to a peer.";

    TRUSTED = "trusted" in [RealIp]: Texts, Required, "set_real_ip_from",
        "Addresses and ranges of the proxies that are believed.";
    REAL_IP_HEADER = "header" in [RealIp]: Text, S(d::REAL_IP_HEADER), "real_ip_header",
        "The header that they say it in; of several lines and addresses of `X-Forwarded-For` the last, of another \
         header the first line.";
    RECURSIVE = "recursive" in [RealIp]: Flag, B(false), "real_ip_recursive",
        "Takes the last address of `header` that is not a trusted one itself.";

    ZONE_KEY = "key" in [Zone]: Text, Required, "",
        "What is counted by, with variables in it, such as `$remote_addr`; a request whose key is empty is not counted.";
    ZONE_RATE = "rate" in [Zone]: Text, Other("none"), "",
        "Requests a second or a minute for `rate` of a route: `\"10/s\"`, `\"30/m\"`.";
    ZONE_SIZE = "size" in [Zone]: Size { least: d::LEAST_ZONE, most: d::MOST_ZONE }, Z(d::ZONE_SIZE), "",
        "The most memory for rates, and as much for what is open: 17 bytes for a key of any length, and best four times \
         that. Of rates those that matter least are forgotten for new keys; where what is open leaves no room for a new \
         key, its requests are refused.";

    MAX_BODY = "max_body" in [Limits]: Size { least: 0, most: d::MOST_BODY }, Z(d::MAX_BODY), "client_max_body_size",
        "The largest body of a request; a larger one is answered with 413. 0: no limit.";
    RATE = "rate" in [Limits]: TextsOrTables(RateRule), Other("none"), "limit_req",
        "Zones whose rate holds, all of them at once; a string is a zone's name alone. `[]` switches the site's off.";
    RATE_STATUS = "rate_status" in [Limits]: REFUSAL, N(d::REFUSAL_STATUS), "limit_req_status",
        "What a request beyond a rate is answered with.";
    RATE_DRY_RUN = "rate_dry_run" in [Limits]: Flag, B(false), "limit_req_dry_run",
        "Counts and logs only, and lets every request pass at once.";
    RATE_LOG = "rate_log_level" in [Limits]: LEVELS, S(d::REFUSAL_LEVEL), "limit_req_log_level",
        "The level of the line about a refused request; that about one that waits is a level lower.";
    CONCURRENT = "concurrent" in [Limits]: TextsOrTables(OpenRule), Other("none"), "limit_conn",
        "Zones whose numbers of open requests and tunnels hold, all of them at once. `[]` switches the site's off.";
    CONCURRENT_STATUS = "concurrent_status" in [Limits]: REFUSAL, N(d::REFUSAL_STATUS), "limit_conn_status",
        "What a request beyond a number is answered with.";
    CONCURRENT_DRY_RUN = "concurrent_dry_run" in [Limits]: Flag, B(false), "limit_conn_dry_run",
        "Logs only, and lets the request pass.";
    CONCURRENT_LOG = "concurrent_log_level" in [Limits]: LEVELS, S(d::REFUSAL_LEVEL), "limit_conn_log_level",
        "The level of the line about a refused request.";

    RATE_ZONE = "zone" in [RateRule]: Text, Required, "", "A zone of `[limits]` that has a rate.";
    BURST = "burst" in [RateRule]: REFUSALS, N(0), "",
        "How many requests may come beyond the rate; they wait so that the rate holds.";
    DELAY = "delay" in [RateRule]: REFUSALS, N(0), "",
        "How many of the burst do not wait.";
    NODELAY = "nodelay" in [RateRule]: Flag, B(false), "", "None of the burst waits.";

    OPEN_ZONE = "zone" in [OpenRule]: Text, Required, "", "A zone of `[limits]`.";
    TOTAL = "total" in [OpenRule]: CAP, Other("no limit"), "",
        "How many requests and tunnels of one key may be open at once.";
    OPEN_REQUESTS = "requests" in [OpenRule]: CAP, Other("no limit"), "",
        "How many requests that do not ask for a tunnel.";
    OPEN_TUNNELS = "tunnels" in [OpenRule]: CAP, Other("no limit"), "",
        "How many tunnels, each from its handshake to its end.";
}

/// The keys that may stand in a section.
pub(super) fn of(section: Section) -> impl Iterator<Item = &'static Key> + Clone {
    ALL.iter().copied().filter(move |k| k.stands_in(section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_in_each_section() {
        for section in Section::ALL {
            let mut names: Vec<_> = of(section).map(|k| k.name).collect();
            assert!(!names.is_empty(), "{section:?}");
            assert!(!section.doc().is_empty(), "{section:?}");
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{section:?}");
        }
    }
}
