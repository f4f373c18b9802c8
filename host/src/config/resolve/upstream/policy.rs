//! How the peers of an upstream are chosen, and what goes with what.

use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Item, Reader};
use crate::config::resolve::{maps, note};
use crate::config::types::{Policy, Until};
use crate::config::variables::Variables;
use crate::hook::Template;

/// `policy`, with the keys that belong to one of them.
pub(super) fn policy(table: &Reader<'_>) -> Policy {
    let word = table.text(&k::POLICY).unwrap_or_default();
    only_with(table, &k::HASH, "hash", word);
    only_with(table, &k::LEAST_TIME, "least-time", word);
    match word {
        "least-conn" => Policy::LeastConn,
        "ip-hash" => Policy::IpHash,
        "hash" => hash(table),
        "random" => Policy::Random,
        "random-two" => Policy::RandomTwo,
        "least-time" if table.text(&k::LEAST_TIME) == Some("last-byte") => Policy::LeastTime(Until::LastByte),
        "least-time" => Policy::LeastTime(Until::Header),
        _ => Policy::RoundRobin,
    }
}

/// A key that only one policy reads.
fn only_with(table: &Reader<'_>, key: &Key, policy: &str, word: &str) {
    if let Some(item) = table.own(key).filter(|_| word != policy) {
        let message = format!("`{}` is of the policy \"{policy}\"", key.name);
        table.cx.hinted(item.at(), &item.path, message, format!("write policy = \"{policy}\", or leave it out"));
    }
}

fn hash(table: &Reader<'_>) -> Policy {
    if table.own(&k::HASH).is_none()
        && let Some(policy) = table.own(&k::POLICY)
    {
        let hint = "write hash = { key = \"$uri\" }, or another key";
        table.cx.hinted(policy.at(), &policy.path, "the policy \"hash\" needs a key", hint);
    }
    let hash = table.table(&k::HASH);
    let key = hash.own_placed(&k::HASH_KEY).and_then(|key| Template::parse(key.text).ok()).unwrap_or_default();
    Policy::Hash { key, consistent: hash.flag(&k::CONSISTENT) }
}

/// What nginx refuses of peers, for the same reason: a hash or chance has no first and second
/// choice, and a hash no share that grows.
pub(super) fn check_peer(table: &Reader<'_>, peer: &Reader<'_>) {
    let word = table.text(&k::POLICY).unwrap_or_default();
    let refuse = |key: &Key, item: &Item<'_>| {
        let message = format!("`{}` does not go with the policy \"{word}\"", key.name);
        peer.cx.hinted(item.at(), &item.path, message, "leave it out, or choose another policy");
    };
    let by_hash = matches!(word, "ip-hash" | "hash");
    let without_backup = by_hash || matches!(word, "random" | "random-two");
    if let Some(item) = peer.own(&k::BACKUP).filter(|_| without_backup && peer.flag(&k::BACKUP)) {
        refuse(&k::BACKUP, &item);
    }
    if let Some(item) = peer.own(&k::SLOW_START).filter(|_| by_hash) {
        refuse(&k::SLOW_START, &item);
    }
}

/// Report what is wrong with the keys' variables, which are known after the upstreams.
pub(super) fn check(table: &Reader<'_>, variables: &Variables) {
    if let Some(key) = table.table(&k::HASH).own_placed(&k::HASH_KEY) {
        match pattern::variables(key.text) {
            Ok(_) => maps::check_variables(table, &key, variables),
            Err(fault) => note(table.cx, key.at, &key.path, fault),
        }
    }
}
