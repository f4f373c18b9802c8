//! The keys of what depends on the request: rules under a condition, upstreams by a variable,
//! maps of networks and of shares.

use super::super::key::Default::{Flag as B, Other};
use super::super::key::Key;
use super::super::key::Kind::{AnyText, Flag, Text};
use super::super::key::Section::{Map, Rewrite, Route, Site};

keys! {
    REWRITE_IF = "if" in [Rewrite]: AnyText, Other("always"), "if",
        "Text with variables; where it is empty or `0`, the rule is passed over.";
    UPSTREAM_BY = "upstream_by" in [Site, Route]: Text, Other("`upstream`"), "proxy_pass http://$name",
        "Text with variables: the name of the upstream in `[upstreams]` that a request goes to. Where it is empty, that of \
         `upstream` is asked; a name that is none is answered with 500.";
    MAP_NETWORKS = "networks" in [Map]: Flag, B(false), "geo",
        "Whether entries are addresses and ranges, such as `10.0.0.0/8`, and what is looked up is an address: the smallest \
         range that it is in counts.";
    MAP_SHARES = "shares" in [Map]: Flag, B(false), "split_clients",
        "Whether entries are shares such as `10%` or `0.5%`, in order: what is looked up is hashed, so that equal texts have \
         equal values, and this part of all texts has the entry's; the rest has `default`.";
}

/// Every key of this file.
pub(super) fn routing_keys() -> &'static [&'static Key] {
    PART
}
