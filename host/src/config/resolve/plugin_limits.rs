//! What a plugin may use, and when it is left alone.

use crate::config::defaults;
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::hook::{Caps, Quarantine};

/// What a plugin may use of which the file says nothing.
pub(super) fn default_caps() -> Caps {
    Caps { table: size(defaults::TABLE), output: None, host_calls: defaults::HOST_CALLS }
}

/// `table`, `output` and `host_calls`.
pub(super) fn caps(plugin: &Reader<'_>) -> Caps {
    let without = default_caps();
    Caps {
        table: plugin.count(&k::TABLE).map_or(without.table, size),
        output: plugin.size(&k::OUTPUT).map(size),
        host_calls: plugin.count(&k::HOST_CALLS).unwrap_or(without.host_calls),
    }
}

/// When a plugin is left alone of which the file says nothing.
pub(super) fn default_quarantine() -> Quarantine {
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Quarantine {
        row: count(defaults::QUARANTINE_ROW),
        failures: count(defaults::QUARANTINE_FAILURES),
        calls: count(defaults::QUARANTINE_CALLS),
        window: defaults::QUARANTINE_WINDOW,
        rest: defaults::QUARANTINE_REST,
        longest_rest: defaults::QUARANTINE_LONGEST,
    }
}

/// `quarantine`; none for `false`.
pub(super) fn quarantine(plugin: &Reader<'_>) -> Option<Quarantine> {
    let without = default_quarantine();
    let Kind::TableOrFalse(section) = k::QUARANTINE.kind else { return Some(without) };
    let Some(item) = plugin.own(&k::QUARANTINE) else { return Some(without) };
    let table = plugin.table_at(&item, section)?;
    let count = |key: &Key, without: u32| table.count(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(without);
    let rules = Quarantine {
        row: count(&k::QUARANTINE_ROW, without.row),
        failures: count(&k::QUARANTINE_FAILURES, without.failures),
        calls: count(&k::QUARANTINE_CALLS, without.calls),
        window: table.duration(&k::QUARANTINE_WINDOW).unwrap_or(without.window),
        rest: table.duration(&k::QUARANTINE_REST).unwrap_or(without.rest),
        longest_rest: table.duration(&k::QUARANTINE_LONGEST).unwrap_or(without.longest_rest),
    };
    if let Some(longest) = table.own(&k::QUARANTINE_LONGEST).filter(|_| rules.longest_rest < rules.rest) {
        table.cx.hinted(longest.at(), &longest.path, "is shorter than the first rest", "`rest` is that");
    }
    Some(rules)
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
