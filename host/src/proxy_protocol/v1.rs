//! Version 1: a line of text (section 2.1).

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, Malformed, one_family};

/// What every line begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, its end included.
const LONGEST: usize = 107;

/// Read the line that some bytes begin with; none where its end is not there.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let seen = bytes.get(..LONGEST).unwrap_or(bytes);
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return if seen.len() < LONGEST { Ok(None) } else { Err(Malformed::TooLong) };
    };
    let line = seen.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::Line)?;
    let words = line.strip_prefix(SIGNATURE).and_then(|rest| std::str::from_utf8(rest).ok()).ok_or(Malformed::Line)?;
    Ok(Some(Header { ends: ends(words)?, length: end + 1 }))
}

fn ends(words: &str) -> Result<Option<Ends>, Malformed> {
    // The receiver must ignore anything behind it.
    if words == "UNKNOWN" || words.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    // One space stands between them, so that an empty word is one too many.
    let mut words = words.split(' ');
    let family = words.next().ok_or(Malformed::Line)?;
    let mut address = || {
        let text = words.next()?;
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address().ok_or(Malformed::Line)?, address().ok_or(Malformed::Line)?);
    let mut port = || {
        let text = words.next()?;
        let is_number = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let source = SocketAddr::new(source, port().ok_or(Malformed::Line)?);
    let destination = SocketAddr::new(destination, port().ok_or(Malformed::Line)?);
    if words.next().is_some() {
        return Err(Malformed::Line);
    }
    Ok(Some(Ends { source, destination }))
}

/// Append a line.
pub(super) fn encode(ends: Option<Ends>, out: &mut Vec<u8>) {
    let Some(ends) = ends else { return out.extend_from_slice(b"PROXY UNKNOWN\r\n") };
    let (source, destination) = one_family(ends);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (ends.source.port(), ends.destination.port());
    // Writing to memory does not fail.
    let _infallible = write!(out, "PROXY {family} {source} {destination} {from} {to}\r\n");
}
