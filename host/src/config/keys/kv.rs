//! The keys of what plugins are given: stores and secrets.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Other, Size as Z, Text as S};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Count, Duration, Named, Secret, SecretMap, Size, TableOrFlag};
use super::super::key::Section::{Kv, Plugin, Top, UpstreamTls};

keys! {
    KV = "kv" in [Top]: Named(Kv), Other("none"), "", "Stores of keys and values that plugins keep.";
    SECRETS = "secrets" in [Top]: SecretMap, Other("none"), "",
        "Secrets by name for plugins (interface `secrets`), which `grants` names: `key = { from_file = \"…\" }`. Read \
         anew by each reload; they stand in no log.";

    KV_URL = "url" in [Kv]: Secret, Other("none: in memory"), "",
        "A Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, `rediss://…` over TLS, or `unix:PATH[?db=DB&user=…&pass=…]`.";
    KV_TLS = "tls" in [Kv]: TableOrFlag(UpstreamTls), Other("all defaults with `rediss://`"), "",
        "TLS towards the Redis, as towards peers.";
    KV_MAX_VALUE = "max_value" in [Kv]: Size { least: 1, most: d::MOST_KV_VALUE }, Z(d::KV_VALUE), "",
        "The longest value.";
    KV_MAX_KEYS = "max_keys" in [Kv]: Count { least: 1, most: d::MOST_KV_KEYS }, N(d::KV_KEYS), "",
        "In memory: the most keys.";
    KV_MAX_BYTES = "max_bytes" in [Kv]: Size { least: d::LEAST_KV_BYTES, most: d::MOST_KV_BYTES }, Z(d::KV_BYTES), "",
        "In memory: the most that keys and values have together, with 160 bytes for each key.";
    KV_FULL = "full" in [Kv]: Choice { now: &["evict", "refuse"], later: &[] }, S(d::KV_FULL), "",
        "In memory: whether a full store drops keys for new ones, first those that have expired and then those that \
         were not used of late, or refuses what is new.";
    KV_TIMEOUT = "timeout" in [Kv]: Duration { least: d::LEAST_TIME, most: d::MOST_KV_TIME }, T(d::KV_TIMEOUT), "",
        "In a Redis: how long an operation may take, with the wait for a connection; after that it has failed, and the \
         connection is made anew.";
    KV_CONNECT_TIMEOUT = "connect_timeout" in [Kv]: Duration { least: d::LEAST_TIME, most: d::MOST_KV_TIME },
        T(d::KV_CONNECT_TIMEOUT), "",
        "In a Redis: how long a connection may take, with TLS and password. While none can be made, operations fail at \
         once, and it is tried again after 50 ms, then twice as long each time up to 3.2 s.";

    MAX_FETCHES = "max_fetches" in [Plugin]: Count { least: 1, most: d::MOST_FETCHES }, N(d::MAX_FETCHES), "",
        "Requests of its own (`http-client`) that may be under way at once, over all workers; more wait for their turn \
         within the call's deadline.";
}

/// Every key of this file.
pub(super) fn kv_keys() -> &'static [&'static Key] {
    PART
}
