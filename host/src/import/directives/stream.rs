//! `stream`.

use super::super::convert::top;
use super::{Contexts, M, Module, T, TS, TU, To, exact, ignored, lacking, near};

const S: Contexts = Contexts::STREAM_SERVER;
const NO_UDP: &str = "of UDP, which is not proxied";
const GOOD_CIPHERS: &str = "rustls has good ciphers only, which are all offered";
const NO_CLIENTS: &str = "certificates of clients are asked for by sites only";
const PASS: &str = "pass TLS on as it is, or write a `server` of `http`";
const KEEP: &str = "keep nginx for it";

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "stream_core",
        entries: &[
            exact("stream", M, "`streams`", To::Structure),
            ignored("error_log", TS, "what is wrong with connections is in the process's log"),
            near(
                "listen",
                S,
                "`listeners`, `streams.listen`",
                To::Structure,
                "TCP at one port; no `unix:`, no `udp`. Options of the socket are the proxy's own",
            ),
            ignored("preread_buffer_size", TS, "a hello may have 16 KiB, nginx's default"),
            near("preread_timeout", TS, "`listeners.preread_timeout`", To::Structure, "by listener"),
            ignored("proxy_protocol_timeout", TS, "headers of the PROXY protocol have a fixed limit"),
            near("resolver", TS, "`resolver`", To::Top(top::resolver), "one for the process"),
            near("resolver_timeout", TS, "`resolver.timeout`", To::Top(top::resolver_timeout), "one for the process"),
            exact("server", T, "`streams`", To::Structure),
            near("server_name", S, "`streams.names`", To::Structure, "with `ssl_preread`, not where TLS is terminated"),
            ignored("server_names_hash_bucket_size", TS, "tables here have no fixed size"),
            ignored("server_names_hash_max_size", TS, "tables here have no fixed size"),
            ignored("tcp_nodelay", TS, "always on"),
            ignored("variables_hash_bucket_size", T, "tables here have no fixed size"),
            ignored("variables_hash_max_size", T, "tables here have no fixed size"),
        ],
    },
    Module {
        name: "stream_proxy",
        entries: &[
            near("proxy_bind", TS, "`upstreams.bind`", To::Structure, "a fixed IP address alone"),
            ignored("proxy_buffer_size", TS, "the kernel's buffers are used"),
            exact("proxy_connect_timeout", TS, "`streams.connect_timeout`", To::Structure),
            lacking("proxy_download_rate", TS, "how fast a connection flows is not limited", "leave it out")
                .harmless(&["0"]),
            exact("proxy_half_close", TS, "`streams.half_close`", To::Structure),
            exact("proxy_next_upstream", TS, "`streams.next_upstream`", To::Structure),
            exact("proxy_next_upstream_timeout", TS, "`streams.next_upstream_timeout`", To::Structure),
            exact("proxy_next_upstream_tries", TS, "`streams.next_upstream_tries`", To::Structure),
            near(
                "proxy_pass",
                S,
                "`streams.upstream`",
                To::Structure,
                "a variable is that of a `map` of `$ssl_preread_server_name`, `…_alpn_protocols` or `…_protocol`, which becomes `names`, `alpn` and `default`",
            ),
            exact("proxy_protocol", TS, "`upstreams.proxy_protocol`", To::Structure),
            ignored("proxy_requests", TS, NO_UDP),
            ignored("proxy_responses", TS, NO_UDP),
            lacking(
                "proxy_session_drop",
                TS,
                "connections stay while their peer is out",
                "write `health.on_unhealthy`",
            )
            .harmless(&["off"]),
            exact("proxy_socket_keepalive", TS, "`upstreams.tcp_keepalive`", To::Structure),
            exact("proxy_ssl", TS, "`upstreams.tls`", To::Structure),
            exact("proxy_ssl_certificate", TS, "`upstreams.tls.certificate`", To::Structure),
            ignored("proxy_ssl_certificate_cache", TS, "certificates are read once"),
            exact("proxy_ssl_certificate_key", TS, "`upstreams.tls.key`", To::Structure),
            ignored("proxy_ssl_ciphers", TS, "rustls has good ciphers only"),
            lacking("proxy_ssl_conf_command", TS, "rustls is not OpenSSL", "leave it out"),
            lacking("proxy_ssl_crl", TS, "revocation lists of peers are not read", "leave it out"),
            lacking("proxy_ssl_key_log", TS, "secrets of sessions are not written", "leave it out"),
            near("proxy_ssl_name", TS, "`upstreams.tls.name`", To::Structure, "without variables"),
            lacking("proxy_ssl_password_file", TS, "keys are not encrypted", "decrypt the key: `openssl pkey`"),
            near(
                "proxy_ssl_protocols",
                TS,
                "`upstreams.tls.versions`",
                To::Structure,
                "1.2 and 1.3; older versions are not spoken",
            ),
            near("proxy_ssl_server_name", TS, "", To::Structure, "a host name is always sent (SNI)"),
            ignored("proxy_ssl_session_reuse", TS, "always on"),
            exact("proxy_ssl_trusted_certificate", TS, "`upstreams.tls.ca`", To::Structure),
            exact("proxy_ssl_verify", TS, "`upstreams.tls.verify`", To::Structure),
            ignored("proxy_ssl_verify_depth", TS, "chains have a fixed limit"),
            exact("proxy_timeout", TS, "`streams.idle_timeout`", To::Structure),
            lacking("proxy_upload_rate", TS, "how fast a connection flows is not limited", "leave it out")
                .harmless(&["0"]),
        ],
    },
    Module {
        name: "stream_upstream",
        entries: &[
            exact("hash", TU, "`policy`, `hash`", To::Structure),
            exact("least_conn", TU, "`policy`", To::Structure),
            lacking("least_time", TU, "goes by answers, which streams do not have", "write `least_conn`"),
            near("random", TU, "`policy`", To::Structure, "alone, or `two least_conn`"),
            ignored("resolver", TU, "names are looked up by the process's `resolver`"),
            ignored("resolver_timeout", TU, "names are looked up by the process's `resolver`"),
            near(
                "server",
                TU,
                "`peers`",
                To::Structure,
                "a name is followed as its answers change, in nginx only with `resolve`",
            ),
            lacking("state", TU, "peers are those that the configuration names", "leave it out"),
            exact("upstream", T, "`upstreams`", To::Structure),
            ignored("zone", TU, "workers are threads of one process and share what they must"),
        ],
    },
    Module {
        name: "stream_ssl_preread",
        entries: &[near(
            "ssl_preread",
            TS,
            "`streams.names`, `streams.preread`",
            To::Structure,
            "on by itself where connections are chosen by it; a hello that contradicts itself is no TLS",
        )],
    },
    Module {
        name: "stream_access",
        entries: &[
            exact("allow", TS, "`streams.access`", To::Structure),
            near("deny", TS, "`streams.access`", To::Structure, "no `unix:`"),
        ],
    },
    Module {
        name: "stream_limit_conn",
        entries: &[
            exact("limit_conn", TS, "`streams.concurrent`", To::Structure),
            lacking("limit_conn_dry_run", TS, "limits of streams hold", "leave it out").harmless(&["off"]),
            ignored("limit_conn_log_level", TS, "`$status` in the access log says it"),
            exact("limit_conn_zone", T, "`limits`", To::Structure),
        ],
    },
    Module {
        name: "stream_log",
        entries: &[
            near(
                "access_log",
                TS,
                "`streams.access_log`",
                To::Structure,
                "no `syslog:`, no variables in the path, `gzip` as without",
            ),
            exact("log_format", T, "`log_formats`", To::Structure),
            ignored("open_log_file_cache", TS, "logs are open as long as the process runs"),
        ],
    },
    Module {
        name: "stream_map, stream_geo, stream_split_clients",
        entries: &[
            near(
                "geo",
                T,
                "`maps` with `networks`",
                To::Structure,
                "without `ranges`, `proxy` and `delete`; another name than any in `http`",
            ),
            near(
                "map",
                T,
                "`streams.names`, `maps`",
                To::Structure,
                "where `proxy_pass` reads it, it becomes the streams themselves; else with another name than any in `http`",
            ),
            near("split_clients", T, "`maps` with `shares`", To::Structure, "another name than any in `http`"),
        ],
    },
    Module {
        name: "stream_realip",
        entries: &[near(
            "set_real_ip_from",
            TS,
            "`listeners.proxy_protocol.from`",
            To::Structure,
            "no `unix:`, no names; without it, who connects is believed",
        )],
    },
    Module {
        name: "stream_ssl",
        entries: &[
            lacking("ssl_alpn", TS, "no protocol is agreed on for a stream", PASS),
            near("ssl_certificate", TS, "`listeners.tls.certificate`", To::Structure, "one, a file, without variables"),
            near("ssl_certificate_key", TS, "`listeners.tls.key`", To::Structure, "not encrypted"),
            near("ssl_ciphers", TS, "", To::Structure, GOOD_CIPHERS),
            lacking("ssl_client_certificate", TS, NO_CLIENTS, PASS),
            lacking("ssl_conf_command", TS, "rustls is not OpenSSL", "leave it out"),
            lacking("ssl_crl", TS, NO_CLIENTS, PASS),
            ignored("ssl_dhparam", TS, "keys are exchanged by elliptic curves"),
            near("ssl_ecdh_curve", TS, "`tls.curves`", To::Structure, "those that rustls knows"),
            exact("ssl_handshake_timeout", TS, "`tls.handshake_timeout`", To::Structure),
            lacking("ssl_key_log", TS, "secrets of sessions are not written", "leave it out"),
            lacking("ssl_ocsp", TS, NO_CLIENTS, PASS).harmless(&["off"]),
            lacking("ssl_password_file", TS, "keys are not encrypted", "decrypt the key: `openssl pkey`"),
            exact("ssl_prefer_server_ciphers", TS, "`tls.prefer_server_ciphers`", To::Structure),
            near("ssl_protocols", TS, "`tls.versions`", To::Structure, "1.2 and 1.3; older versions are not spoken"),
            lacking("ssl_reject_handshake", TS, "a listener of a stream has its certificate", PASS).harmless(&["off"]),
            near("ssl_session_cache", TS, "`tls.session_cache`", To::Structure, "counted in sessions"),
            lacking("ssl_session_ticket_key", TS, "ticket keys are never on disk", "leave it out"),
            exact("ssl_session_tickets", TS, "`tls.session_tickets`", To::Structure),
            exact("ssl_session_timeout", TS, "`tls.session_timeout`", To::Structure),
            near("ssl_stapling", TS, "`tls.ocsp`", To::Structure, "as in `http`"),
            exact("ssl_stapling_file", TS, "`tls.ocsp`", To::Structure),
            exact("ssl_stapling_responder", TS, "`tls.ocsp_responder`", To::Structure),
            near("ssl_stapling_verify", TS, "`tls.ocsp_verify`", To::Structure, "on unless `off` is written"),
            ignored("ssl_trusted_certificate", TS, "the issuer's certificate is taken from the chain"),
            lacking("ssl_verify_client", TS, NO_CLIENTS, PASS).harmless(&["off"]),
            ignored("ssl_verify_depth", TS, "goes with `ssl_verify_client`"),
        ],
    },
    Module {
        name: "stream_return, stream_pass, stream_set",
        entries: &[
            lacking(
                "pass",
                S,
                "connections are not handed from one server to another",
                "sites may be at the same address",
            ),
            lacking("return", S, "a connection is not answered with a text", KEEP),
            lacking("set", TS, "connections have no variables of their own", "write the value where it is used"),
        ],
    },
];
