//! `rewrite`, `if` and `set`; variables made of others.

use super::{H, HSLI, L, Module, S, SCRIPT, T, To, exact, ignored, near};

pub(super) const MODULES: &[Module] = &[
    Module {
        name: "http_rewrite",
        entries: &[
            exact("break", SCRIPT, "`rewrites`", To::Structure),
            near(
                "if",
                S.and(L),
                "`rewrites` with `if`",
                To::Structure,
                "with `return`, `rewrite`, `set`, `break` and `add_header` in it; no tests of files (`-f`, `-d`, `-e`, `-x`) and no comparison with a variable",
            ),
            near(
                "return",
                SCRIPT,
                "`respond`",
                To::Structure,
                "a text has the type of `default_type`, in nginx that of the path's extension, where it has one",
            ),
            near(
                "rewrite",
                SCRIPT,
                "`rewrites`",
                To::Structure,
                "regular expressions are those of `regex-lite`: no look-around, no back-references",
            ),
            ignored("rewrite_log", HSLI.and(S), "`log_level = \"debug\"` tells of rewrites"),
            near("set", SCRIPT, "`maps`", To::Structure, "the value is put where the variable is used"),
            ignored("uninitialized_variable_warn", HSLI, "a variable that nobody sets is an error"),
        ],
    },
    Module {
        name: "http_map",
        entries: &[
            near(
                "map",
                H,
                "`maps`",
                To::Structure,
                "captures belong to the entry's value only; regular expressions are those of `regex-lite`",
            ),
            ignored("map_hash_bucket_size", H.and(T), "tables here have no fixed size"),
            ignored("map_hash_max_size", H.and(T), "tables here have no fixed size"),
        ],
    },
    Module {
        name: "http_geo",
        entries: &[near("geo", H, "`maps` with `networks`", To::Structure, "without `ranges`, `proxy` and `delete`")],
    },
    Module { name: "http_split_clients", entries: &[exact("split_clients", H, "`maps` with `shares`", To::Structure)] },
];
