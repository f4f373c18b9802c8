//! What another peer is tried after.

use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::{Condition, Conditions, NextUpstream};
use crate::config::{defaults, suggest};

/// nginx's word for never.
const OFF: &str = "off";

/// `next_upstream` and its like of a site or route, with what it inherits.
pub(super) fn next_upstream(table: &Reader<'_>) -> NextUpstream {
    let tries = table.count(&k::NEXT_TRIES).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    NextUpstream {
        when: conditions(table),
        tries,
        timeout: table.duration(&k::NEXT_TIMEOUT).filter(|time| !time.is_zero()),
        body: table.size(&k::NEXT_BODY).and_then(|size| usize::try_from(size).ok()).unwrap_or_default(),
    }
}

fn find(word: &str) -> Option<Condition> {
    Condition::ALL.iter().find(|(name, _)| *name == word).map(|(_, condition)| *condition)
}

fn conditions(table: &Reader<'_>) -> Conditions {
    let conditions =
        |words: &[&str]| words.iter().filter_map(|word| find(word)).fold(Conditions::default(), Conditions::with);
    match table.texts(&k::NEXT_UPSTREAM) {
        Some(words) => conditions(&words.iter().map(|word| word.text).collect::<Vec<_>>()),
        None => conditions(defaults::NEXT_UPSTREAM),
    }
}

/// The words of this very table.
pub(super) fn check(table: &Reader<'_>) {
    let words = table.own_texts(&k::NEXT_UPSTREAM);
    for word in words.iter().filter(|word| find(word.text).is_none()) {
        if word.text != OFF {
            let names = Condition::ALL.iter().map(|(name, _)| *name);
            let hint = suggest::hint(word.text, names, "such as \"error\", \"timeout\" or \"http_502\"");
            table.cx.hinted(word.at, &word.path, format!("\"{}\" is not a condition", word.text), hint);
        } else if words.len() > 1 {
            table.cx.hinted(word.at, &word.path, "does not go with others", "`off` stands alone");
        }
    }
}
