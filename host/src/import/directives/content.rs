//! Headers, files, compression, logs, status.

use super::super::convert::{content, headers, logs, top};
use super::{Contexts, H, HSL, HSLI, L, Module, S, To, exact, ignored, lacking, near};

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "http_headers",
        entries: &[
            near(
                "add_header",
                HSLI,
                "`add_response_headers`, `append_response_headers`",
                To::Route(headers::add_header),
                "the same name once; `Content-Type` with a `return` is the type of its text",
            ),
            lacking(
                "add_header_inherit",
                HSL,
                "what is inherited is worked out when the file is imported",
                "leave it out",
            )
            .harmless(&["on"]),
            lacking("add_trailer", HSLI, "trailers are the backend's", "leave it out"),
            lacking("add_trailer_inherit", HSL, "trailers are the backend's", "leave it out"),
            near(
                "expires",
                HSLI,
                "`add_response_headers`",
                To::Route(headers::expires),
                "`Cache-Control` alone, which takes the place of `Expires` (RFC 9111); one of the backend's stays beside it",
            ),
        ],
    },
    Module {
        name: "http_index",
        entries: &[near("index", HSL, "`index`", To::Route(content::index), "names of files, without variables")],
    },
    Module {
        name: "http_autoindex",
        entries: &[
            lacking("autoindex", HSL, "lists of folders are not made", "leave it out").harmless(&["off"]),
            ignored("autoindex_exact_size", HSL, "lists of folders are not made"),
            ignored("autoindex_format", HSL, "lists of folders are not made"),
            ignored("autoindex_localtime", HSL, "lists of folders are not made"),
        ],
    },
    Module {
        name: "http_gzip",
        entries: &[
            exact("gzip", HSLI, "`compress`", To::Route(content::gzip)),
            ignored("gzip_buffers", HSL, "buffers grow as they must"),
            exact("gzip_comp_level", HSL, "`compress.gzip_level`", To::Structure),
            ignored("gzip_disable", HSL, "of browsers that are gone"),
            ignored("gzip_http_version", HSL, "clients of HTTP/1.0 that accept gzip get it"),
            exact("gzip_min_length", HSL, "`compress.min_length`", To::Structure),
            near("gzip_proxied", HSL, "", To::Structure, "always `any`"),
            exact("gzip_types", HSL, "`compress.types`", To::Structure),
            near("gzip_vary", HSL, "", To::Structure, "always on"),
        ],
    },
    Module {
        name: "http_gzip_static",
        entries: &[ignored("gzip_static", HSL, "files are compressed as they are served")],
    },
    Module {
        name: "http_log",
        entries: &[
            near(
                "access_log",
                HSLI.and(Contexts::LIMIT_EXCEPT),
                "`access_log`",
                To::Route(logs::access_log),
                "no `syslog:`, no variables in the path, `gzip` as without; there is no log where nothing is said",
            ),
            near("log_format", H, "`log_formats`", To::Structure, "variables of what is not there are `-`"),
            ignored("open_log_file_cache", HSL, "logs are open as long as the process runs"),
        ],
    },
    Module {
        name: "http_stub_status",
        entries: &[near(
            "stub_status",
            S.and(L),
            "`admin.address`",
            To::Top(top::stub_status),
            "the page is at the operator's own address, to which the location leads",
        )],
    },
    Module {
        name: "http_vhost_traffic_status",
        entries: &[
            near(
                "vhost_traffic_status_display",
                HSL,
                "`admin.address`",
                To::Top(top::stub_status),
                "JSON of a form of its own, at the operator's own address, to which the location leads",
            ),
            ignored("vhost_traffic_status_display_format", HSL, "JSON, and Prometheus's text at `/metrics`"),
            ignored("vhost_traffic_status_zone", H, "what is counted needs no room of its own"),
        ],
    },
    Module {
        name: "others without effect",
        entries: &[
            lacking("charset", HSLI, "types say their charset", "write it into `default_type` and `types`")
                .harmless(&["off"]),
            ignored("charset_types", HSL, "goes with `charset`"),
            lacking("sub_filter", HSL, "bodies are not changed", "do it in the backend"),
            ignored("sub_filter_once", HSL, "goes with `sub_filter`"),
            ignored("sub_filter_types", HSL, "goes with `sub_filter`"),
            lacking("ssi", HSLI, "bodies are not changed", "do it in the backend").harmless(&["off"]),
            lacking("gunzip", HSL, "bodies are not changed", "leave it out").harmless(&["off"]),
            lacking("mirror", HSL, "requests are not copied", "leave it out").harmless(&["off"]),
            lacking("userid", HSL, "cookies of visitors are not made", "do it in the backend").harmless(&["off"]),
            lacking(
                "valid_referers",
                S.and(L),
                "where a link stands is not judged",
                "write a `map` of `$http_referer`, and `if` on that",
            ),
        ],
    },
];
