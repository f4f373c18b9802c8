//! The PROXY protocol: who a connection is from and for, said by a proxy in front before the
//! first byte of what it passes on.
//!
//! Pure: bytes in, addresses out, and back. By HAProxy's `proxy-protocol.txt` (2020/03/05).
//! What carries a header is read by `listener/` and written by `upstream/`.

mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

/// The longest header that is read, bytes: as in nginx since 1.23.
pub const LONGEST: usize = 4096;

/// The forms of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text (section 2.1).
    V1,
    /// Binary (section 2.2).
    V2,
}

/// The ends of a connection as a proxy in front has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who has connected.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
}

/// A header that is there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The ends; none where the sender speaks for itself (`LOCAL`) or does not know them
    /// (`UNKNOWN`, a Unix socket, datagrams).
    pub ends: Option<Ends>,
    /// Its bytes.
    pub length: usize,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It begins like neither version.
    #[error("no PROXY protocol header")]
    Signature,
    /// A line that is none of section 2.1.
    #[error("a malformed PROXY protocol line")]
    Line,
    /// Version, command, family or length are none of section 2.2.
    #[error("a malformed PROXY protocol header of version 2")]
    Binary,
    /// More than [`LONGEST`], or a line of more than 107 bytes.
    #[error("a PROXY protocol header that is too long")]
    TooLong,
}

/// Read the header that some bytes begin with; none where there must be more of them.
///
/// # Errors
/// As soon as it is clear that they are no header.
pub fn decode(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, v2::SIGNATURE) {
        v2::decode(bytes)
    } else if begins(bytes, v1::SIGNATURE) {
        v1::decode(bytes)
    } else {
        Err(Malformed::Signature)
    }
}

/// Append a header. Without ends it says that the sender speaks for itself.
pub fn encode(version: Version, ends: Option<Ends>, out: &mut Vec<u8>) {
    match version {
        Version::V1 => v1::encode(ends, out),
        Version::V2 => v2::encode(ends, out),
    }
}

/// Whether bytes begin so, as far as they go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, wanted)| byte == wanted)
}

/// The addresses in one family, as both versions want them: where they differ, an IPv4 one as
/// IPv6 has it (RFC 4291 §2.5.5.2).
fn one_family(ends: Ends) -> (IpAddr, IpAddr) {
    let (source, destination) = (ends.source.ip().to_canonical(), ends.destination.ip().to_canonical());
    match (source, destination) {
        (IpAddr::V4(v4), IpAddr::V6(_)) => (v4.to_ipv6_mapped().into(), destination),
        (IpAddr::V6(_), IpAddr::V4(v4)) => (source, v4.to_ipv6_mapped().into()),
        _ => (source, destination),
    }
}

#[cfg(test)]
mod tests;
