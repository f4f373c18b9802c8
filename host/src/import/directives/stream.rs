//! `stream`.

use super::{M, Module, T, TS, TU, ignored, lacking};

const NO_STREAM: &str = "TCP and UDP are not proxied as they are";
const INSTEAD: &str = "keep nginx for it, or serve it as HTTP";
const GOES_ALONG: &str = "goes with `stream`";

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "stream_core",
        entries: &[
            lacking("stream", M, NO_STREAM, INSTEAD),
            ignored("listen", TS, GOES_ALONG),
            ignored("preread_buffer_size", TS, GOES_ALONG),
            ignored("preread_timeout", TS, GOES_ALONG),
            ignored("proxy_protocol_timeout", TS, GOES_ALONG),
            ignored("resolver", TS, GOES_ALONG),
            ignored("resolver_timeout", TS, GOES_ALONG),
            ignored("server", T, GOES_ALONG),
            ignored("server_name", TS, GOES_ALONG),
            ignored("server_names_hash_bucket_size", TS, GOES_ALONG),
            ignored("server_names_hash_max_size", TS, GOES_ALONG),
            ignored("tcp_nodelay", TS, GOES_ALONG),
            ignored("variables_hash_bucket_size", T, GOES_ALONG),
            ignored("variables_hash_max_size", T, GOES_ALONG),
        ],
    },
    Module {
        name: "stream_proxy",
        entries: &[
            ignored("proxy_bind", TS, GOES_ALONG),
            ignored("proxy_buffer_size", TS, GOES_ALONG),
            ignored("proxy_connect_timeout", TS, GOES_ALONG),
            ignored("proxy_download_rate", TS, GOES_ALONG),
            ignored("proxy_half_close", TS, GOES_ALONG),
            ignored("proxy_next_upstream", TS, GOES_ALONG),
            ignored("proxy_next_upstream_timeout", TS, GOES_ALONG),
            ignored("proxy_next_upstream_tries", TS, GOES_ALONG),
            ignored("proxy_pass", TS, GOES_ALONG),
            ignored("proxy_protocol", TS, GOES_ALONG),
            ignored("proxy_requests", TS, GOES_ALONG),
            ignored("proxy_responses", TS, GOES_ALONG),
            ignored("proxy_session_drop", TS, GOES_ALONG),
            ignored("proxy_socket_keepalive", TS, GOES_ALONG),
            ignored("proxy_ssl", TS, GOES_ALONG),
            ignored("proxy_ssl_certificate", TS, GOES_ALONG),
            ignored("proxy_ssl_certificate_cache", TS, GOES_ALONG),
            ignored("proxy_ssl_certificate_key", TS, GOES_ALONG),
            ignored("proxy_ssl_ciphers", TS, GOES_ALONG),
            ignored("proxy_ssl_conf_command", TS, GOES_ALONG),
            ignored("proxy_ssl_crl", TS, GOES_ALONG),
            ignored("proxy_ssl_key_log", TS, GOES_ALONG),
            ignored("proxy_ssl_name", TS, GOES_ALONG),
            ignored("proxy_ssl_password_file", TS, GOES_ALONG),
            ignored("proxy_ssl_protocols", TS, GOES_ALONG),
            ignored("proxy_ssl_server_name", TS, GOES_ALONG),
            ignored("proxy_ssl_session_reuse", TS, GOES_ALONG),
            ignored("proxy_ssl_trusted_certificate", TS, GOES_ALONG),
            ignored("proxy_ssl_verify", TS, GOES_ALONG),
            ignored("proxy_ssl_verify_depth", TS, GOES_ALONG),
            ignored("proxy_timeout", TS, GOES_ALONG),
            ignored("proxy_upload_rate", TS, GOES_ALONG),
        ],
    },
    Module {
        name: "stream_upstream",
        entries: &[
            ignored("hash", TU, GOES_ALONG),
            ignored("least_conn", TU, GOES_ALONG),
            ignored("least_time", TU, GOES_ALONG),
            ignored("random", TU, GOES_ALONG),
            ignored("resolver", TU, GOES_ALONG),
            ignored("resolver_timeout", TU, GOES_ALONG),
            ignored("server", TU, GOES_ALONG),
            ignored("state", TU, GOES_ALONG),
            ignored("upstream", T, GOES_ALONG),
            ignored("zone", TU, GOES_ALONG),
        ],
    },
    Module { name: "stream_ssl_preread", entries: &[ignored("ssl_preread", TS, GOES_ALONG)] },
];
