//! How plugins see bodies.

use crate::config::defaults;
use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::config::types::{Bodies, TooLarge};

/// `bodies` of a route.
pub(super) fn bodies(table: &Reader<'_>) -> Bodies {
    let bodies = table.table(&k::BODIES);
    let size = bodies.size(&k::BODIES_MAX_SIZE).unwrap_or(defaults::BODY_SHOWN);
    Bodies {
        max_size: usize::try_from(size).unwrap_or(usize::MAX),
        too_large: match bodies.text(&k::BODIES_TOO_LARGE) {
            Some("pass") => TooLarge::Pass,
            _ => TooLarge::Refuse,
        },
        plain: bodies.flag(&k::BODIES_PLAIN),
    }
}
