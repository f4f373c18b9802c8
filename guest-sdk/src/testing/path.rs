//! The path that routes are matched by, made as the host makes it.

/// Percent-decoded, with `.`, `..` and repeated slashes resolved. A decoded byte that
/// is not UTF-8 stays as `%XX`.
pub(super) fn normalise(raw: &str) -> String {
    let decoded = decode(raw.as_bytes());
    let mut segments: Vec<&str> = Vec::new();
    let mut is_directory = true;
    for segment in decoded.split('/') {
        is_directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            name => segments.push(name),
        }
    }
    let mut path = String::new();
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    if is_directory {
        path.push('/');
    }
    path
}

fn decode(raw: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        match rest {
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = tail;
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
            [] => break,
        }
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn as_nginx_does() {
        for (raw, path) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/../../x", "/x"),
            ("/%61%2Fb%20c", "/a/b c"),
            ("/x%2f..%2fy", "/y"),
            ("/%ff%C3%A9", "/%FFé"),
            ("/%zz", "/%zz"),
        ] {
            assert_eq!(normalise(raw), path, "{raw}");
        }
    }
}
