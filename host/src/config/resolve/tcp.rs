//! What listeners and upstreams say of TCP alike.

use std::sync::Arc;

use crate::config::keys as k;
use crate::config::reader::Reader;
use crate::socket::congestion;

/// `congestion_control` of a listener or an upstream; none where there is none, or where it cannot
/// be used, which is reported.
pub(super) fn congestion_control(table: &Reader<'_>) -> Option<Arc<str>> {
    let name = table.placed(&k::CONGESTION_CONTROL)?;
    match congestion::check(name.text) {
        Ok(()) => Some(name.text.into()),
        Err(why) => {
            let message = format!("\"{}\" {why}", name.text);
            table.cx.hinted(
                name.at,
                &name.path,
                message,
                "/proc/sys/net/ipv4/tcp_available_congestion_control has them",
            );
            None
        }
    }
}
