//! The keys of what plugins may use, and when they are left alone.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Other, Size as Z, Text as S};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Count, Size, TableOrFalse};
use super::super::key::Section::{Plugin, Quarantine, Server};
use super::WAIT;

keys! {
    PLUGIN_STACK = "plugin_stack" in [Server]: Size { least: d::LEAST_PLUGIN_STACK, most: d::MOST_PLUGIN_STACK },
        Z(d::PLUGIN_STACK), "",
        "The stack of each call of a plugin, one for all plugins; a call that needs more traps (`call stack exhausted`). \
         Languages that compile to Wasm keep most of their own stack within `memory`. A reload does not change it.";
    ISOLATION = "isolation" in [Plugin]: Choice { now: &["worker", "request"], later: &[] }, S(d::ISOLATION), "",
        "Who shares an instance: all requests of a worker, which is fastest; or the hooks of one request, and of the \
         tunnel that it opens, so that nothing of one request is visible to another. An instance costs 12 to 20 µs, in \
         JavaScript 0.1 to 0.4 ms, and its memory as long as the request or tunnel lasts.";
    TABLE = "table" in [Plugin]: Count { least: 0, most: d::TABLE }, N(d::TABLE), "",
        "How many elements (references to functions, mostly) the tables of one instance may have.";
    OUTPUT = "output" in [Plugin]: Size { least: d::LEAST_OUTPUT, most: d::MOST_OUTPUT },
        Other("`\"1MiB\"`; for a component of more than 1 MiB `\"4MiB\"`"), "",
        "How much a call may hand to the host at once: its answer, with all edits or the whole reply, or what it gives a \
         function of the host, such as a line for the log.";
    HOST_CALLS = "host_calls" in [Plugin]: Count { least: 1, most: d::MOST_LIMIT }, N(d::HOST_CALLS), "",
        "How many functions of the host one call may call; WASI's are counted too, and looked at every 5 ms.";
    QUARANTINE = "quarantine" in [Plugin]: TableOrFalse(Quarantine), Other("all defaults"), "",
        "When a plugin that keeps failing is left alone, and for how long; `false` for never.";
    QUARANTINE_ROW = "row" in [Quarantine]: Count { least: 0, most: d::MOST_LIMIT }, N(d::QUARANTINE_ROW), "",
        "So many failures in a row are too many. 0: any number is borne.";
    QUARANTINE_FAILURES = "failures" in [Quarantine]: Count { least: 1, most: 100 }, N(d::QUARANTINE_FAILURES), "",
        "The part of its calls within the window that is too much, in percent.";
    QUARANTINE_CALLS = "calls" in [Quarantine]: Count { least: 1, most: d::MOST_LIMIT }, N(d::QUARANTINE_CALLS), "",
        "The least number of calls within the window that says anything of the part.";
    QUARANTINE_WINDOW = "window" in [Quarantine]: WAIT, T(d::QUARANTINE_WINDOW), "",
        "How long calls count, from a failure on; and how long the plugin must be well for the next rest to be a short one \
         again.";
    QUARANTINE_REST = "rest" in [Quarantine]: WAIT, T(d::QUARANTINE_REST), "",
        "The first rest. After it one call tries the plugin; each one in vain makes the next rest twice as long.";
    QUARANTINE_LONGEST = "longest_rest" in [Quarantine]: WAIT, T(d::QUARANTINE_LONGEST), "", "The longest rest.";
}

/// Every key of this file.
pub(super) fn plugin_limit_keys() -> &'static [&'static Key] {
    PART
}
