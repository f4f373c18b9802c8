//! HTTP/3 at a listener.

use std::fmt;

use http::HeaderValue;

/// What a listener says of HTTP/3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http3 {
    /// Whether clients prove their address before a handshake. nginx: `quic_retry`.
    pub retry: QuicRetry,
    /// What answers over TCP say of it.
    pub alt_svc: AltSvc,
    /// What its keys are made from; none makes them new with each process. nginx: `quic_host_key`.
    pub host_key: Option<HostKey>,
    /// What is asked of the kernel for its socket, bytes each way. nginx: `listen … rcvbuf sndbuf`.
    pub buffer: usize,
}

impl Default for Http3 {
    fn default() -> Self {
        Self { retry: QuicRetry::Auto, alt_svc: AltSvc::OwnPort, host_key: None, buffer: 0 }
    }
}

/// When a client must prove that its address is its own (RFC 9000 §8.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuicRetry {
    /// While many handshakes are under way.
    Auto,
    /// Always: each connection takes one round trip more.
    Always,
    /// Never.
    Off,
}

/// The Alt-Svc header (RFC 7838 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltSvc {
    /// None.
    Off,
    /// HTTP/3 at the listener's port.
    OwnPort,
    /// This value.
    Value(HeaderValue),
}

/// A secret that keys are made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostKey(pub [u8; 32]);

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AltSvc {
    /// The header's value where the listener has this port; none where it is not sent.
    pub fn value(&self, port: u16) -> Option<HeaderValue> {
        match self {
            Self::Off => None,
            Self::OwnPort => HeaderValue::from_str(&format!("h3=\":{port}\"; ma=86400")).ok(),
            Self::Value(value) => Some(value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_say() {
        assert_eq!(AltSvc::OwnPort.value(8443).unwrap(), "h3=\":8443\"; ma=86400");
        assert_eq!(AltSvc::Off.value(1), None);
        assert_eq!(AltSvc::Value(HeaderValue::from_static("clear")).value(1).unwrap(), "clear");
        assert_eq!(format!("{:?}", HostKey([1; 32])), "***");
    }
}
