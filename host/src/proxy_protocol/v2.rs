//! Version 2: binary (section 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, LONGEST, Malformed, one_family};

/// What every header begins with; no line of HTTP does.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version with command, family with transport, and length.
const FIXED: usize = 16;
const VERSION: u8 = 0x20;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
/// Families with transports: `STREAM` over IPv4 and IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Read the header that some bytes begin with; none where there must be more of them.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&[version_command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(None);
    };
    if version_command & 0xF0 != VERSION {
        return Err(Malformed::Binary);
    }
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(Malformed::TooLong);
    }
    let Some(rest) = bytes.get(FIXED..length) else { return Ok(None) };
    let ends = match version_command & 0x0F {
        // Whatever else it says is not about this connection.
        LOCAL => None,
        // Behind the addresses may be type-length-values, which are passed over.
        PROXY => match family {
            TCP4 => Some(ends::<4>(rest).ok_or(Malformed::Binary)?),
            TCP6 => Some(ends::<16>(rest).ok_or(Malformed::Binary)?),
            // Unspecified, datagrams and Unix sockets have no addresses that anybody here
            // understands; other values must not be sent.
            _ if family >> 4 <= 3 && family & 0x0F <= 2 => None,
            _ => return Err(Malformed::Binary),
        },
        _ => return Err(Malformed::Binary),
    };
    Ok(Some(Header { ends, length }))
}

/// Two addresses of so many bytes, and their ports.
fn ends<const N: usize>(bytes: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let to = rest.first_chunk::<2>()?;
    let end = |address: &[u8; N], port: &[u8; 2]| SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes(*port));
    Some(Ends { source: end(source, from), destination: end(destination, to) })
}

/// Append a header.
pub(super) fn encode(ends: Option<Ends>, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    let Some(ends) = ends else { return out.extend_from_slice(&[VERSION | LOCAL, 0, 0, 0]) };
    let (source, destination) = one_family(ends);
    let put = |out: &mut Vec<u8>, address: IpAddr| match address {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    };
    let (family, length) =
        if source.is_ipv4() { (TCP4, 2 * size_of::<Ipv4Addr>() + 4) } else { (TCP6, 2 * size_of::<Ipv6Addr>() + 4) };
    out.extend_from_slice(&[VERSION | PROXY, family, 0, u8::try_from(length).unwrap_or_default()]);
    put(out, source);
    put(out, destination);
    out.extend_from_slice(&ends.source.port().to_be_bytes());
    out.extend_from_slice(&ends.destination.port().to_be_bytes());
}
