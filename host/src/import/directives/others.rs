//! Modules whose directives are known by their names' beginning only.

/// A module, or several of a kind.
pub(super) struct Family {
    /// What its directives begin with, or their whole names.
    names: &'static [&'static str],
    pub(super) why: &'static str,
    pub(super) instead: &'static str,
}

impl Family {
    /// What the names are like; a star stands for what is not known.
    pub(super) fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// Whether a directive is one of it.
    pub(super) fn has(&self, directive: &str) -> bool {
        self.names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => directive.starts_with(start),
            None => match name.strip_prefix('*') {
                Some(end) => directive.ends_with(end),
                None => directive == *name,
            },
        })
    }
}

pub(super) const FAMILIES: &[Family] = &[
    Family {
        names: &["fastcgi_*", "uwsgi_*", "scgi_*", "memcached_*"],
        why: "backends are asked by HTTP only",
        instead: "put a server of HTTP before the application (gunicorn, php's own or FrankenPHP), and `proxy_pass` to that",
    },
    Family {
        names: &["grpc_*"],
        why: "there is no module for gRPC",
        instead: "`proxy_pass` to an upstream with `protocol = \"h2\"`",
    },
    Family {
        names: &["*_by_lua", "*_by_lua_block", "*_by_lua_file", "lua_*", "js_*", "perl*", "njs_*"],
        why: "other languages do not run in the proxy",
        instead: "write a plugin: a WebAssembly component in nearly any language",
    },
    Family {
        names: &["mail", "auth_http*", "imap_*", "pop3_*", "smtp_*", "starttls"],
        why: "mail is not proxied",
        instead: "keep nginx for it",
    },
    Family { names: &["rtmp*"], why: "RTMP is not proxied", instead: "keep nginx for it" },
    Family {
        names: &["geoip*"],
        why: "there is no database of places",
        instead: "write a `geo` block with the ranges, or a plugin",
    },
    Family {
        names: &["auth_jwt*", "auth_oidc*"],
        why: "tokens are not checked by a module",
        instead: "write an authorizer plugin, or `auth_request`",
    },
    Family {
        names: &["brotli*", "zstd*"],
        why: "of a module that is not nginx's own",
        instead: "leave it out: `compress` has `codings = [\"br\", \"zstd\", \"gzip\"]`",
    },
    Family {
        names: &["more_*"],
        why: "of a module that is not nginx's own",
        instead: "write `set_response_headers`, `remove_response_headers` or `set_headers`",
    },
    Family {
        names: &[
            "passenger_*",
            "pagespeed*",
            "modsecurity*",
            "vhost_traffic_status*",
            "push_stream_*",
            "echo*",
            "set_*",
            "upload_*",
            "nchan_*",
        ],
        why: "of a module that is not nginx's own",
        instead: "leave it out, or write a plugin",
    },
    Family {
        names: &[
            "dav_*",
            "create_full_put_path",
            "min_delete_depth",
            "dav_access",
            "image_filter*",
            "xslt_*",
            "xml_entities",
            "xslt_stylesheet",
            "mp4*",
            "flv",
            "hls*",
            "f4f*",
            "random_index",
            "empty_gif",
            "secure_link*",
            "slice",
            "addition_types",
            "add_before_body",
            "add_after_body",
            "charset_map",
            "override_charset",
            "source_charset",
            "sub_filter_last_modified",
            "ssi_*",
            "gunzip_buffers",
            "userid_*",
            "mirror_request_body",
            "referer_*",
            "ancient_browser*",
            "modern_browser*",
            "api",
            "status",
            "status_zone",
            "session_log*",
            "keyval*",
            "zone_sync*",
            "mgmt",
            "otel_*",
            "internal_redirect",
            "acme_*",
            "num_map",
            "google_perftools_profiles",
            "proxy_protocol",
            "tunnel_*",
        ],
        why: "there is no such module",
        instead: "leave it out, do it in the backend, or write a plugin",
    },
];
