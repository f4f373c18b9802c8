//! Header names that mean something between the host and its plugins.

/// Headers of the connection and of framing: whoever writes them decides where a message
/// ends, which is the host's to guarantee (RFC 9110 §7.6.1, RFC 9112 §6).
pub const FRAMING: [&str; 9] = [
    "connection",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "proxy-connection",
    "http2-settings",
];

/// The WebSocket handshake, which the host checks on both sides (RFC 6455 §4). A plugin's
/// own reply may carry them: a 426 names the version.
pub const HANDSHAKE: [&str; 3] = ["sec-websocket-key", "sec-websocket-version", "sec-websocket-accept"];

/// In a router's reply: the name of the route that it is for, whose rules for answers then
/// apply. The host takes the line out.
pub const ROUTE_OF_REPLY: &str = "tidegate-route";

/// Whether a header is the host's, so that a plugin's edit of it is refused and a rule for it
/// would fail each request (`wit/v0.1/types.wit`, `field-edit`).
pub fn is_hosts_own(name: &str) -> bool {
    is_one_of(&FRAMING, name) || is_one_of(&HANDSHAKE, name)
}

/// Whether a header's name is one of these, without regard to case.
pub fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stock plugins refuse in their configuration what the host would refuse of each request.
    #[test]
    fn rules_for_what_is_the_hosts_own_are_refused() {
        for name in FRAMING.iter().chain(&HANDSHAKE) {
            assert!(tidegate_header_lines::check_name(name).is_err(), "{name}");
            assert!(is_hosts_own(&name.to_uppercase()));
        }
        for name in ["host", "origin", "cookie", "sec-websocket-protocol", "sec-websocket-extensions", "x-real-ip"] {
            assert_eq!((tidegate_header_lines::check_name(name), is_hosts_own(name)), (Ok(()), false), "{name}");
        }
    }
}
