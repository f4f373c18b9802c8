//! Extended CONNECT (RFC 8441 §4, RFC 9220 §3) as what it stands for: a GET that asks to leave
//! HTTP, with a key of the proxy's own, so that all phases and every upstream know one kind of
//! handshake. HTTP/2 and HTTP/3 have no `Upgrade` themselves, so that nothing else can look like
//! one.

use crate::message::{Fields, WEBSOCKET, key_of};

/// Add what a handshake of HTTP/1.1 has and `:protocol` stands for.
pub(super) fn ask(fields: &mut Fields, protocol: &str, key: &str) {
    fields.append("Connection", b"Upgrade");
    fields.append("Upgrade", protocol.as_bytes());
    if protocol == WEBSOCKET {
        fields.set("Sec-WebSocket-Key", key.as_bytes());
        // RFC 8441 §5 keeps it; a client that leaves it out means the only one there is.
        fields.set_default("Sec-WebSocket-Version", b"13");
    }
}

/// A Sec-WebSocket-Key (RFC 6455 §4.1).
pub(super) fn key() -> String {
    use std::hash::{BuildHasher as _, RandomState};

    // Its only use is to tell an answer to this handshake from one to another.
    let half = || u128::from(RandomState::new().hash_one(std::time::Instant::now()));
    key_of((half() << 64 | half()).to_be_bytes())
}

/// RFC 9113 §8.2.3, RFC 9114 §4.2.1: what a client has cut into several lines is one for
/// everybody else.
pub(super) fn cookie(parts: &[&[u8]]) -> Option<Vec<u8>> {
    (!parts.is_empty()).then(|| parts.join(&b"; "[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_16_bytes_and_differ() {
        let (first, second) = (key(), key());
        assert_eq!((first.len(), first.ends_with("==")), (24, true));
        assert_ne!(first, second);
    }
}
