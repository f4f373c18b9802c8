//! Who the client is, behind proxies that are believed: part of phase 1.
//!
//! nginx's `ngx_http_realip_module`, step by step as its `ngx_http_get_forwarded_addr`.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use crate::config::RealIp;
use crate::message::Fields;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How far a header line was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Nothing of it was believed.
    Nothing,
    /// Up to an address that is not trusted, or no address.
    Some,
    /// All that was asked for.
    All,
}

/// The address of the client whose connection comes from `peer`. Its port is 0 where the
/// header names none.
pub(super) fn client(config: &RealIp, peer: SocketAddr, headers: &Fields) -> SocketAddr {
    let mut client = peer;
    let mut lines = headers.get_all(config.header.as_str());
    if config.header != X_FORWARDED_FOR || !config.recursive {
        // nginx reads the first line of any header but this one.
        let line = if config.header == X_FORWARDED_FOR { lines.last() } else { lines.next() };
        if let Some(line) = line {
            read(config, line, &mut client);
        }
        return client;
    }
    let lines: Vec<&[u8]> = lines.collect();
    for line in lines.into_iter().rev() {
        if read(config, line, &mut client) != Read::All {
            break;
        }
    }
    client
}

/// Follow a line from its end for as long as who says it is trusted.
fn read(config: &RealIp, line: &[u8], client: &mut SocketAddr) -> Read {
    let is_gap = |byte: u8| byte == b' ' || byte == b',';
    let mut line = line;
    let mut so_far = Read::Nothing;
    loop {
        if !config.trusted.iter().any(|trusted| trusted.contains(client.ip())) {
            return so_far;
        }
        while let [before @ .., last] = line {
            // nginx never takes the first byte for a gap.
            if !is_gap(*last) || before.is_empty() {
                break;
            }
            line = before;
        }
        let start = line.iter().rposition(|byte| is_gap(*byte)).map_or(0, |gap| gap + 1);
        let Some((before, address)) = line.split_at_checked(start) else { return so_far };
        let Some(address) = std::str::from_utf8(address).ok().and_then(parse) else { return so_far };
        *client = address;
        match before.split_last() {
            Some((_gap, before)) if config.recursive => (line, so_far) = (before, Read::Some),
            _ => return Read::All,
        }
    }
}

/// An address, with a port or without: `192.0.2.1`, `2001:db8::1`, `192.0.2.1:80`, `[::1]:80`.
fn parse(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address.to_canonical(), 0));
    }
    let address: SocketAddr = text.parse().ok()?;
    (address.port() > 0).then(|| SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use tidegate_cidr::Cidr;

    use super::*;

    fn config(header: &'static str, recursive: bool) -> RealIp {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8", "::1"].map(|text| Cidr::parse(text).unwrap()).to_vec();
        RealIp { trusted, header: HeaderName::from_static(header), recursive }
    }

    fn ask(config: &RealIp, peer: &str, lines: &[&str]) -> String {
        let mut headers = Fields::new();
        for line in lines {
            headers.append(config.header.as_str(), line.as_bytes());
        }
        client(config, peer.parse().unwrap(), &headers).to_string()
    }

    const PEER: &str = "127.0.0.1:999";

    #[test]
    fn only_the_trusted_are_believed() {
        let config = config("x-forwarded-for", false);
        assert_eq!(ask(&config, "192.0.2.9:1", &["192.0.2.1"]), "192.0.2.9:1");
        assert_eq!(ask(&config, PEER, &["192.0.2.1"]), "192.0.2.1:0");
        assert_eq!(ask(&config, "[::1]:7", &["192.0.2.1"]), "192.0.2.1:0");
        assert_eq!(ask(&config, PEER, &[]), PEER);
    }

    #[test]
    fn without_recursion_the_last_address_counts() {
        let config = config("x-forwarded-for", false);
        for (lines, wanted) in [
            (&["192.0.2.1, 10.0.0.7"][..], "10.0.0.7:0"),
            (&["192.0.2.1", "192.0.2.2"], "192.0.2.2:0"),
            (&["192.0.2.1,192.0.2.2 , "], "192.0.2.2:0"),
            (&["192.0.2.1:8080"], "192.0.2.1:8080"),
            (&["2001:db8::1"], "[2001:db8::1]:0"),
            (&["[2001:db8::1]:81"], "[2001:db8::1]:81"),
            (&["192.0.2.1, unknown"], PEER),
            (&["192.0.2.1:0"], PEER),
            (&["[2001:db8::1]"], PEER),
            (&[","], PEER),
            (&["::ffff:192.0.2.1"], "192.0.2.1:0"),
        ] {
            assert_eq!(ask(&config, PEER, lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn with_recursion_the_last_that_is_not_trusted_counts() {
        let config = config("x-forwarded-for", true);
        for (lines, wanted) in [
            (&["192.0.2.1, 192.0.2.2, 10.0.0.7"][..], "192.0.2.2:0"),
            (&["192.0.2.1, 10.0.0.1,10.0.0.2"], "192.0.2.1:0"),
            (&["10.0.0.1, 10.0.0.2"], "10.0.0.1:0"),
            (&["192.0.2.1", "10.0.0.2"], "192.0.2.1:0"),
            (&["192.0.2.1, 192.0.2.3", "10.0.0.3, 10.0.0.2"], "192.0.2.3:0"),
            (&["unknown, 10.0.0.2"], "10.0.0.2:0"),
            (&["192.0.2.1", "unknown, 10.0.0.2"], "10.0.0.2:0"),
            (&["192.0.2.1", "unknown"], PEER),
            (&["evil, 192.0.2.1, 10.0.0.1"], "192.0.2.1:0"),
        ] {
            assert_eq!(ask(&config, PEER, lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn another_header_is_read_once() {
        let config = config("x-real-ip", false);
        assert_eq!(ask(&config, PEER, &["192.0.2.1", "192.0.2.2"]), "192.0.2.1:0");
    }
}
