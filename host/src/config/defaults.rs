//! Every default of the configuration and every bound of a value, in one place. The key
//! table shows them and the reader applies them.

use std::time::Duration;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `server.drain_timeout`: as the guides' `worker_shutdown_timeout`; nginx has no limit.
pub const DRAIN_TIMEOUT: Duration = seconds(30);
/// `server.header_timeout`: nginx's `client_header_timeout`.
pub const HEADER_TIMEOUT: Duration = seconds(60);
/// `server.keepalive_timeout`: nginx's `keepalive_timeout`.
pub const KEEPALIVE_TIMEOUT: Duration = seconds(75);
/// `server.body_timeout`: nginx's `client_body_timeout`.
pub const BODY_TIMEOUT: Duration = seconds(60);
/// `server.keepalive_requests`: nginx's.
pub const KEEPALIVE_REQUESTS: u64 = 1000;
/// `server.keepalive_time`: nginx's.
pub const KEEPALIVE_TIME: Duration = seconds(3600);
/// `server.max_line`, bytes: nginx's `large_client_header_buffers 4 8k`.
pub const MAX_LINE: u64 = 8 << 10;
/// `server.max_head`, bytes: about nginx's `large_client_header_buffers 4 8k`, twice over.
pub const MAX_HEAD: u64 = 64 << 10;
/// `server.server_header`: nginx says `nginx/VERSION`.
pub const SERVER_HEADER: &str = "tidegate";
/// `log.level`.
pub const LOG_LEVEL: &str = "info";
/// `access_log.path`.
pub const ACCESS_LOG: &str = "off";
/// `access_log.format`.
pub const ACCESS_LOG_FORMAT: &str = "combined";
/// `access_log.buffer` where only `flush` is given, bytes: nginx's.
pub const ACCESS_LOG_BUFFER: u64 = 64 << 10;
/// The most that `access_log.buffer` may be.
pub const MOST_LOG_BUFFER: u64 = 64 << 20;
/// `log_formats.escape`: nginx's.
pub const LOG_ESCAPE: &str = "default";
/// `listeners.backlog`: nginx's on Linux.
pub const BACKLOG: u64 = 511;
/// `http3.retry`.
pub const QUIC_RETRY: &str = "auto";
/// `http3.buffer`, bytes.
pub const UDP_BUFFER: u64 = 2 << 20;
/// The least of `http3.buffer`.
pub const LEAST_UDP_BUFFER: u64 = 64 << 10;
/// The most of `http3.buffer`.
pub const MOST_UDP_BUFFER: u64 = 256 << 20;
/// `upstreams.policy`: what nginx does without a directive.
pub const POLICY: &str = "round-robin";
/// `upstreams.keepalive`, connections.
pub const UPSTREAM_KEEPALIVE: u64 = 32;
/// `upstreams.keepalive_timeout`: nginx's.
pub const UPSTREAM_KEEPALIVE_TIMEOUT: Duration = seconds(60);
/// `upstreams.protocol`: what every backend speaks, nginx's default; HTTP/2 is asked for.
pub const PROTOCOL: &str = "h1";
/// `upstreams.ping`: with as long again for the answer, a dead peer is noticed in half a minute.
pub const PING: Duration = seconds(10);
/// `upstreams.NAME.least_time`.
pub const LEAST_TIME_UNTIL: &str = "header";
/// `sticky.sessions`: those of four of nginx's megabytes.
pub const SESSIONS: u64 = 16_000;
/// The most of `sticky.sessions`.
pub const MOST_SESSIONS: u64 = 100_000_000;
/// `sticky.timeout`: nginx's.
pub const SESSION_TIMEOUT: Duration = seconds(600);
/// The least characters of `sticky.secret`.
pub const LEAST_SECRET: usize = 16;
/// `upstreams.keepalive_requests`: nginx's.
pub const UPSTREAM_KEEPALIVE_REQUESTS: u64 = 1000;
/// `upstreams.keepalive_time`: nginx's.
pub const UPSTREAM_KEEPALIVE_TIME: Duration = seconds(3600);
/// `tls.versions` of an upstream.
pub const TLS_VERSIONS: &[&str] = &["1.2", "1.3"];
/// `resolver.timeout`: nginx's `resolver_timeout`.
pub const RESOLVER_TIMEOUT: Duration = seconds(30);
/// `resolver.min_ttl`.
pub const MIN_TTL: Duration = seconds(1);
/// `resolver.max_ttl`.
pub const MAX_TTL: Duration = seconds(3600);
/// `peers.resolve`.
pub const RESOLVE: &str = "ttl";
/// `peers.slow_start`: nginx's.
pub const SLOW_START: Duration = Duration::ZERO;
/// `peers.weight`: nginx's.
pub const WEIGHT: u64 = 1;
/// `peers.max_fails`: nginx's.
pub const MAX_FAILS: u32 = 1;
/// `peers.fail_timeout`: nginx's.
pub const FAIL_TIMEOUT: Duration = seconds(10);
/// `health.kind`.
pub const HEALTH_KIND: &str = "http";
/// `health.path`: nginx Plus's.
pub const HEALTH_PATH: &str = "/";
/// `health.method`.
pub const HEALTH_METHOD: &str = "GET";
/// `health.statuses`: nginx Plus's.
pub const HEALTH_STATUSES: &[&str] = &["200-399"];
/// `health.max_body`, bytes.
pub const HEALTH_BODY: u64 = 64 << 10;
/// The most that it may be: nginx Plus looks at 256 KiB.
pub const MOST_HEALTH_BODY: u64 = 16 << 20;
/// `health.interval`: nginx Plus's.
pub const HEALTH_INTERVAL: Duration = seconds(5);
/// `health.timeout`.
pub const HEALTH_TIMEOUT: Duration = seconds(5);
/// `health.fails`: nginx Plus's.
pub const HEALTH_FAILS: u32 = 1;
/// `health.passes`: nginx Plus's.
pub const HEALTH_PASSES: u32 = 1;
/// `health.on_unhealthy`.
pub const ON_UNHEALTHY: &str = "keep";
/// `health.drain`.
pub const HEALTH_DRAIN: Duration = seconds(30);
/// `plugins.on_failure`.
pub const ON_FAILURE: &str = "closed";
/// `plugins.deadline`.
pub const DEADLINE: Duration = Duration::from_millis(10);
/// `plugins.deadline` of auth-basic where its users have bcrypt or apr1 hashes, which are slow
/// on purpose.
pub const DEADLINE_AUTH_BASIC: Duration = seconds(2);
/// `plugins.NAME.deadline` of the stock plugin auth-jwt: more than it waits for keys, unless told to.
pub const DEADLINE_AUTH_JWT: Duration = seconds(10);
/// `plugins.NAME.deadline` of the stock plugin auth-request: more than its timeout can be.
pub const DEADLINE_AUTH_REQUEST: Duration = MOST_DEADLINE;
/// `plugins.memory`, bytes.
pub const MEMORY: u64 = 16 << 20;
/// `plugins.isolation`.
pub const ISOLATION: &str = "worker";
/// `plugins.table`, and the most that it may be: what the pool of instances has room for.
pub const TABLE: u64 = 40_000;
/// The least that `plugins.output` may be, bytes.
pub const LEAST_OUTPUT: u64 = 1 << 10;
/// The most that it may be, bytes.
pub const MOST_OUTPUT: u64 = 128 << 20;
/// `plugins.host_calls`: 2 ms of getters.
pub const HOST_CALLS: u64 = 10_000;
/// `plugins.quarantine.row`.
pub const QUARANTINE_ROW: u64 = 8;
/// `plugins.quarantine.failures`, percent.
pub const QUARANTINE_FAILURES: u64 = 50;
/// `plugins.quarantine.calls`.
pub const QUARANTINE_CALLS: u64 = 20;
/// `plugins.quarantine.window`.
pub const QUARANTINE_WINDOW: Duration = seconds(10);
/// `plugins.quarantine.rest`.
pub const QUARANTINE_REST: Duration = Duration::from_millis(100);
/// `plugins.quarantine.longest_rest`.
pub const QUARANTINE_LONGEST: Duration = seconds(30);
/// `server.plugin_stack`, bytes.
pub const PLUGIN_STACK: u64 = 512 << 10;
/// The least that it may be, bytes.
pub const LEAST_PLUGIN_STACK: u64 = 64 << 10;
/// The most that it may be, bytes.
pub const MOST_PLUGIN_STACK: u64 = 8 << 20;
/// `maps.default`: nginx's.
pub const MAP_DEFAULT: &str = "";
/// `routers`.
pub const ROUTERS: &[&str] = &["router"];
/// `sites.missing_origin`.
pub const MISSING_ORIGIN: &str = "deny";
/// `respond.content_type`: nginx's `default_type`.
pub const CONTENT_TYPE: &str = "text/plain";
/// `index`: nginx's.
pub const INDEX: &[&str] = &["index.html"];
/// `follow_symlinks`; nginx follows all.
pub const FOLLOW_SYMLINKS: &str = "inside";
/// `compress.codings`.
pub const CODINGS: &[&str] = &["br", "zstd", "gzip"];
/// `compress.types`: nginx's.
pub const COMPRESS_TYPES: &[&str] = &["text/html"];
/// `compress.min_length`, bytes: nginx's.
pub const MIN_LENGTH: u64 = 20;
/// `compress.gzip_level`: nginx's.
pub const GZIP_LEVEL: u64 = 1;
/// `compress.br_level`: about as fast as gzip's 6.
pub const BR_LEVEL: u64 = 4;
/// `compress.zstd_level`: zstd's own.
pub const ZSTD_LEVEL: u64 = 3;
/// The most that is held in memory of one body, bytes.
pub const MOST_BUFFER: u64 = 1 << 30;
/// `listeners.preread_timeout`: nginx's.
pub const PREREAD_TIMEOUT: Duration = seconds(30);
/// `streams.idle_timeout`: nginx's `proxy_timeout`.
pub const STREAM_IDLE_TIMEOUT: Duration = seconds(600);
/// `timeouts.connect`: nginx's `proxy_connect_timeout`.
pub const CONNECT_TIMEOUT: Duration = seconds(60);
/// `timeouts.read`: nginx's `proxy_read_timeout`.
pub const READ_TIMEOUT: Duration = seconds(60);
/// `timeouts.send`: nginx's `proxy_send_timeout`.
pub const SEND_TIMEOUT: Duration = seconds(60);
/// `sites.next_upstream`: nginx's.
pub const NEXT_UPSTREAM: &[&str] = &["error", "timeout"];
/// `sites.next_upstream_body`, bytes: what the usual forms and messages fit in.
pub const NEXT_BODY: u64 = 64 << 10;
/// `breaker.failures`, percent.
pub const BREAKER_FAILURES: u64 = 50;
/// `breaker.requests`.
pub const BREAKER_REQUESTS: u64 = 20;
/// The most that `breaker.requests` may be: what a part of the window counts to.
pub const MOST_BREAKER_REQUESTS: u64 = 1_000_000;
/// `breaker.window`.
pub const BREAKER_WINDOW: Duration = seconds(10);
/// `breaker.open`.
pub const BREAKER_OPEN: Duration = seconds(30);
/// `admission.queue`.
pub const ADMISSION_QUEUE: u64 = 256;
/// `admission.wait`.
pub const ADMISSION_WAIT: Duration = seconds(1);
/// `admission.retry_after`.
pub const RETRY_AFTER: Duration = seconds(5);
/// The least of it: Retry-After is in seconds.
pub const LEAST_RETRY_AFTER: Duration = seconds(1);
/// `sites.upgrade`.
pub const UPGRADE: &[&str] = &["websocket"];

/// `real_ip.header`: nginx's.
pub const REAL_IP_HEADER: &str = "X-Real-IP";
/// `limits.NAME.size`, bytes: as in nginx's examples, which has no default.
pub const ZONE_SIZE: u64 = 10 << 20;
/// `limits.max_body`, bytes: nginx's.
pub const MAX_BODY: u64 = 1 << 20;
/// `limits.rate_status` and `limits.concurrent_status`: nginx's.
pub const REFUSAL_STATUS: u64 = 503;
/// `limits.rate_log_level` and `limits.concurrent_log_level`: nginx's.
pub const REFUSAL_LEVEL: &str = "error";
/// `cors.methods`: those that the Fetch standard needs no preflight for.
pub const CORS_METHODS: &[&str] = &["GET", "HEAD", "POST"];

/// The shortest time that a deadline or timeout may be.
pub const LEAST_TIME: Duration = Duration::from_millis(1);
/// The longest time that may be waited for anything; more is surely a slip.
pub const MOST_TIME: Duration = seconds(365 * 86_400);
/// How long `auth_request` waits for an answer.
pub const AUTH_REQUEST_TIMEOUT: Duration = seconds(10);
/// The most that it may wait: the plugin must have time to say so.
pub const MOST_AUTH_REQUEST_TIMEOUT: Duration = seconds(59);
/// The longest that one call of a plugin may take.
pub const MOST_DEADLINE: Duration = seconds(60);
/// The least that `server.max_line` may be.
pub const LEAST_LINE: u64 = 256;
/// The most that `server.keepalive_requests` may be.
pub const MOST_REQUESTS: u64 = u32::MAX as u64;
/// The least that `server.max_head` may be, bytes.
pub const LEAST_HEAD: u64 = 8 << 10;
/// The most that `server.max_head` may be.
pub const MOST_HEAD: u64 = 16 << 20;
/// The least memory of an instance: one Wasm page.
pub const LEAST_MEMORY: u64 = 64 << 10;
/// The most memory of an instance: what 32 bits address.
pub const MOST_MEMORY: u64 = 4 << 30;
/// The most worker threads.
pub const MOST_WORKERS: u64 = 1024;
/// The longest accept queue.
pub const MOST_BACKLOG: u64 = 65_535;
/// The most idle connections to one peer.
pub const MOST_KEEPALIVE: u64 = 65_536;
/// The largest weight of a peer.
pub const MOST_WEIGHT: u64 = 65_535;
/// The least memory of a zone: nginx's.
pub const LEAST_ZONE: u64 = 32 << 10;
/// The most memory of a zone.
pub const MOST_ZONE: u64 = 64 << 30;
/// The largest limit of a body.
pub const MOST_BODY: u64 = i64::MAX as u64;
/// The largest number of a worker's connections.
pub const MOST_LIMIT: u64 = 1_000_000_000;
/// The largest number that is counted by key of what is open at once: 21 bits hold it.
pub const MOST_OPEN: u64 = 2_000_000;
/// The largest burst, requests: in thousandths 30 bits hold it.
pub const MOST_BURST: u64 = 1_000_000;
/// The least status of `respond`.
pub const LEAST_STATUS: u64 = 200;
/// The greatest status of `respond`.
pub const MOST_STATUS: u64 = 599;

/// nginx keeps none; so many are some hundred KiB.
pub(super) const TLS_SESSIONS: u64 = 4096;
/// Room for all of them is made at once.
pub(super) const MOST_TLS_SESSIONS: u64 = 1_000_000;
/// nginx: `client_header_timeout`, which is 60s; whoever is honest needs less.
pub(super) const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// A look at two files.
pub(super) const TLS_RENEW: Duration = Duration::from_secs(10);
/// nginx: `ssl_session_timeout`.
pub(super) const TLS_SESSION_TIMEOUT: Duration = Duration::from_secs(300);
/// nginx: `ssl_verify_depth`.
pub(super) const CLIENT_AUTH_DEPTH: u64 = 1;
/// Longer chains serve nobody.
pub(super) const MOST_DEPTH: u64 = 16;
/// `acme.directory`: Let's Encrypt's.
pub(super) const ACME_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// `acme.challenge`: nginx's.
pub(super) const ACME_CHALLENGE: &str = "http-01";
/// `acme.retry`: Let's Encrypt lets an order fail five times an hour.
pub(super) const ACME_RETRY: Duration = Duration::from_secs(60);
/// Who writes `client_auth` wants it.
pub(super) const CLIENT_AUTH_MODE: &str = "required";

/// nginx: `http2_max_concurrent_streams`.
pub(super) const MAX_STREAMS: u64 = 128;
/// More serve nobody.
pub(super) const MOST_STREAMS: u64 = 10_000;

/// `plugins.NAME.deadline` of a plugin with a store in a Redis.
pub(super) const DEADLINE_REDIS: Duration = seconds(2);
/// `kv.NAME.max_value`, bytes.
pub(crate) const KV_VALUE: u64 = 64 << 10;
/// The most that `kv.NAME.max_value` may be.
pub(super) const MOST_KV_VALUE: u64 = 1 << 20;
/// `kv.NAME.max_keys`.
pub(crate) const KV_KEYS: u64 = 100_000;
/// The most that `kv.NAME.max_keys` may be.
pub(super) const MOST_KV_KEYS: u64 = 100_000_000;
/// `kv.NAME.max_bytes`.
pub(crate) const KV_BYTES: u64 = 64 << 20;
/// The least of `kv.NAME.max_bytes`.
pub(super) const LEAST_KV_BYTES: u64 = 4 << 10;
/// The most of `kv.NAME.max_bytes`.
pub(super) const MOST_KV_BYTES: u64 = 1 << 40;
/// `kv.NAME.full`: a client that makes up keys must not lock out everybody else.
pub(crate) const KV_FULL: &str = "evict";
/// `kv.NAME.timeout`: a request waits for it.
pub(super) const KV_TIMEOUT: Duration = Duration::from_millis(100);
/// `kv.NAME.connect_timeout`.
pub(super) const KV_CONNECT_TIMEOUT: Duration = seconds(1);
/// The most that the two may be.
pub(super) const MOST_KV_TIME: Duration = seconds(60);
/// `plugins.NAME.max_fetches`.
pub(super) const MAX_FETCHES: u64 = 128;
/// The most that `plugins.NAME.max_fetches` may be.
pub(super) const MOST_FETCHES: u64 = 100_000;
/// `messages.max_size`, bytes.
pub(super) const MAX_MESSAGE: u64 = 1 << 20;
/// The least that it may be: what a control frame may carry fits.
pub(super) const LEAST_MESSAGE: u64 = 128;
/// The most that it may be: all of it is kept in memory for each way of a tunnel.
pub(super) const MOST_MESSAGE: u64 = 64 << 20;
/// `messages.deflate`
pub(super) const MESSAGES_DEFLATE: &str = "inspect";
/// `messages.max_ratio`
pub(super) const MAX_RATIO: u64 = 250;
/// The most that it may be: deflate has no more than 1032.
pub(super) const MOST_RATIO: u64 = 1032;
/// `tunnels_on_reload`
pub(super) const TUNNELS_ON_RELOAD: &str = "keep";
/// `redirect_https.status`: the guides' `return 301`.
pub const REDIRECT_HTTPS_STATUS: u64 = 301;
/// https' own port.
pub const HTTPS_PORT: u16 = 443;
/// The largest port.
pub const MOST_PORT: u64 = 65_535;

/// `bodies.max_size`, bytes.
pub(super) const BODY_SHOWN: u64 = 1 << 20;
/// The most that it may be: each exchange holds so much, and a plugin's memory holds it too.
pub(super) const MOST_BODY_SHOWN: u64 = 64 << 20;
/// `bodies.too_large`
pub(super) const BODIES_TOO_LARGE: &str = "refuse";

/// The least of `reauthorize`: who is asked again gets time to answer.
pub const LEAST_REAUTHORIZE: Duration = Duration::from_millis(100);
/// `access_close_code`: RFC 6455 §7.4.1, policy violation.
pub const ACCESS_CLOSE_CODE: u64 = 1008;
