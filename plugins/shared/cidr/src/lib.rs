//! Ranges of IP addresses as nginx writes them: `192.0.2.0/24`, `2001:db8::/32`, or one
//! address alone (RFC 4632 §3.1, RFC 4291 §2.3).
//!
//! The proxy (`real_ip`) and the stock plugin access-list read the same texts by this.

use std::fmt;
use std::net::IpAddr;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cidr {
    /// IPv4: the first address and the mask.
    V4(u32, u32),
    /// IPv6: the first address and the mask.
    V6(u128, u128),
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCidr {
    /// What stands before the `/` is not an IP address. Host names are not looked up.
    Address,
    /// What follows the `/` is not a number of bits that the address has.
    Bits(u8),
}

impl fmt::Display for NotCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("is not an IP address or range"),
            Self::Bits(most) => write!(f, "has a prefix that is not 0 to {most}"),
        }
    }
}

impl std::error::Error for NotCidr {}

impl Cidr {
    /// Read a range. As in nginx, address bits behind the prefix have no meaning.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, NotCidr> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotCidr::Address)?;
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            // `+8` is a number to Rust.
            Some(bits) if !bits.bytes().all(|b| b.is_ascii_digit()) => return Err(NotCidr::Bits(width)),
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= width).ok_or(NotCidr::Bits(width))?,
        };
        let shift = u32::from(width - bits);
        Ok(match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                Self::V4(address.to_bits() & mask, mask)
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                Self::V6(address.to_bits() & mask, mask)
            }
        })
    }

    /// Whether an address is in the range. An IPv4 address that is written as an IPv6 one
    /// (`::ffff:192.0.2.1`) is an IPv4 address, as for nginx.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4(first, mask), IpAddr::V4(address)) => address.to_bits() & mask == *first,
            (Self::V6(first, mask), IpAddr::V6(address)) => address.to_bits() & mask == *first,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn ranges_contain_what_nginx_says() {
        for (range, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.77/24", "192.0.2.1", "192.0.1.255"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::1", "::1", "::2"),
            ("2001:db8::8000/113", "2001:db8::ffff", "2001:db8::7fff"),
        ] {
            let cidr = Cidr::parse(range).unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{range} {outside}");
        }
    }

    #[test]
    fn what_is_no_range_says_why() {
        for text in ["", "all", "localhost", "1.2.3", "1.2.3.4.5", "/8", "[::1]", "10.0.0.0:80"] {
            assert_eq!(Cidr::parse(text), Err(NotCidr::Address), "{text}");
        }
        for text in ["1.2.3.4/33", "1.2.3.4/", "1.2.3.4/x", "1.2.3.4/+8", "1.2.3.4/8/8", "1.2.3.4/-1"] {
            assert_eq!(Cidr::parse(text), Err(NotCidr::Bits(32)), "{text}");
        }
        assert_eq!(Cidr::parse("::1/129"), Err(NotCidr::Bits(128)));
    }
}
