use super::*;

const SIGNATURE: &[u8] = b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A";

fn ends(source: &str, destination: &str) -> Option<Ends> {
    Some(Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
}

fn whole(ends: Option<Ends>, length: usize) -> Result<Option<Header>, Malformed> {
    Ok(Some(Header { ends, length }))
}

/// A header of version 2 with these bytes behind the signature.
fn binary(head: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, head, &length, rest].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xBB];

#[test]
fn lines() {
    for (line, expected) in [
        // The examples of section 2.1.
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            ends("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            ends("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            None,
        ),
        ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", ends("192.168.0.1:56324", "192.168.0.11:443")),
        ("PROXY TCP6 2001:db8::1 ::1 0 80\r\n", ends("[2001:db8::1]:0", "[::1]:80")),
    ] {
        assert_eq!(decode(line.as_bytes()), whole(expected, line.len()), "{line}");
        // What follows is not looked at.
        assert_eq!(decode(format!("{line}GET / HTTP/1.1\r\n\r\n").as_bytes()), whole(expected, line.len()), "{line}");
        for end in 0..line.len() {
            assert_eq!(decode(&line.as_bytes()[..end]), Ok(None), "{line} up to {end}");
        }
    }
}

#[test]
fn lines_that_are_none() {
    for line in [
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
        "PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 01 443\r\n",
        "PROXY TCP4 192.168.0.256 192.168.0.11 1 443\r\n",
        "PROXY TCP4 192.168.000.1 192.168.0.11 1 443\r\n",
        "PROXY TCP4 ::1 ::1 1 443\r\n",
        "PROXY TCP6 192.168.0.1 192.168.0.11 1 443\r\n",
        "PROXY UDP4 192.168.0.1 192.168.0.11 1 443\r\n",
        "PROXY TCP4\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN \u{00ff}\n\r\n",
    ] {
        assert_eq!(decode(line.as_bytes()), Err(Malformed::Line), "{line:?}");
    }
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n"[..], Malformed::Signature),
        (b"proxy ", Malformed::Signature),
        (b"PROXY\t", Malformed::Signature),
        (b"\r\n\r\n\0\r\nQUIX", Malformed::Signature),
        (&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat(), Malformed::TooLong),
        (&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat(), Malformed::TooLong),
    ] {
        assert_eq!(decode(bytes), Err(why), "{}", bytes.escape_ascii());
    }
    let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 91], b"\r\n"].concat();
    assert_eq!(decode(&longest), whole(None, 107));
}

#[test]
fn binary_headers() {
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[2], &[0, 7, 0, 80]].concat();
    let tlv = [V4, &[0x04, 0, 3, 1, 2, 3], &[0xEA, 0, 1, 9]].concat();
    for (header, expected) in [
        (binary(&[0x21, 0x11], V4), ends("192.0.2.1:12345", "198.51.100.2:443")),
        (binary(&[0x21, 0x11], &tlv), ends("192.0.2.1:12345", "198.51.100.2:443")),
        (binary(&[0x21, 0x21], &v6), ends("[2001:db8::1]:7", "[::2]:80")),
        // LOCAL, with and without addresses; unspecified; datagrams; Unix sockets.
        (binary(&[0x20, 0x00], &[]), None),
        (binary(&[0x20, 0x11], V4), None),
        (binary(&[0x20, 0xFF], &[1, 2, 3]), None),
        (binary(&[0x21, 0x00], &[]), None),
        (binary(&[0x21, 0x12], V4), None),
        (binary(&[0x21, 0x31], &[0; 216]), None),
    ] {
        assert_eq!(decode(&header), whole(expected, header.len()), "{}", header.escape_ascii());
        assert_eq!(decode(&[&header[..], b"more"].concat()), whole(expected, header.len()));
        for end in 0..header.len() {
            assert_eq!(decode(&header[..end]), Ok(None), "{} up to {end}", header.escape_ascii());
        }
    }
}

#[test]
fn binary_headers_that_are_none() {
    for (header, why) in [
        (binary(&[0x11, 0x11], V4), Malformed::Binary),
        (binary(&[0x22, 0x11], V4), Malformed::Binary),
        (binary(&[0x21, 0x41], V4), Malformed::Binary),
        (binary(&[0x21, 0x13], V4), Malformed::Binary),
        (binary(&[0x21, 0x11], &V4[..11]), Malformed::Binary),
        (binary(&[0x21, 0x21], &[0; 35]), Malformed::Binary),
        (binary(&[0x21, 0x11], &[0; LONGEST - 15]), Malformed::TooLong),
    ] {
        assert_eq!(decode(&header), Err(why), "{}", header.escape_ascii());
    }
    // The length alone tells: nobody waits for the rest of it.
    assert_eq!(decode(&[SIGNATURE, &[0x21, 0x11, 0xFF, 0xFF]].concat()), Err(Malformed::TooLong));
    let longest = binary(&[0x21, 0x11], &[0; LONGEST - 16]);
    assert_eq!(decode(&longest).unwrap().unwrap().length, LONGEST);
}

#[test]
fn what_is_written_is_read() {
    let pairs = [
        None,
        ends("192.0.2.1:1", "198.51.100.2:443"),
        ends("[2001:db8::1]:1", "[2001:db8::2]:443"),
        ends("192.0.2.1:0", "198.51.100.2:65535"),
    ];
    for pair in pairs {
        for version in [Version::V1, Version::V2] {
            let mut header = b"before".to_vec();
            encode(version, pair, &mut header);
            let header = header.strip_prefix(b"before").unwrap();
            assert_eq!(decode(header), whole(pair, header.len()), "{version:?}");
        }
    }
    let mut line = Vec::new();
    encode(Version::V1, ends("[::ffff:192.0.2.1]:1", "198.51.100.2:443"), &mut line);
    assert_eq!(line, b"PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\n", "one family, as the client has it");
    line.clear();
    encode(Version::V1, ends("[2001:db8::1]:1", "198.51.100.2:443"), &mut line);
    assert_eq!(line, b"PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 1 443\r\n");
}

/// No bytes make it panic or claim more than there are, and a prefix never says otherwise than
/// the whole.
#[test]
fn any_bytes() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let seeds = [
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::1 1 80\r\nGET".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(&[0x21, 0x11], V4),
        binary(&[0x21, 0x21], &[7; 60]),
        binary(&[0x20, 0], &[]),
    ];
    let mut seen = [0; 3];
    for _ in 0..50_000 {
        let mut bytes = seeds[random() % seeds.len()].clone();
        for _ in 0..random() % 3 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(random() % (bytes.len() + 20));
        let (mut before, mut kinds) = (Ok(None), 0);
        for end in 0..=bytes.len() {
            let now = decode(&bytes[..end]);
            if now != before {
                assert_eq!(before, Ok(None), "{}", bytes.escape_ascii());
                kinds = if now.is_ok() { 1 } else { 2 };
            }
            if let Ok(Some(header)) = now {
                assert!(header.length <= end);
            }
            before = now;
        }
        seen[kinds] += 1;
    }
    assert!(seen.iter().all(|count| *count > 1000), "{seen:?}");
}
