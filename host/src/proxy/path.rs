//! The path by which routes are matched, normalised as nginx's `$uri`.

/// Percent-decode, resolve `.` and `..`, and merge slashes, as nginx's
/// `ngx_http_parse_complex_uri` does with `merge_slashes on`: a decoded `/` or `.` counts
/// like a plain one. None where the path leaves the root or holds a NUL: nginx answers 400.
///
/// A byte that is not UTF-8 after decoding stays as `%XX`, since hooks see text.
pub(super) fn normalize(raw: &str) -> Option<String> {
    if !raw.starts_with('/') {
        // `OPTIONS *`
        return Some(raw.to_owned());
    }
    if is_normal(raw) {
        return Some(raw.to_owned());
    }
    let decoded = decode(raw)?;
    resolve(&text(&decoded))
}

fn is_normal(raw: &str) -> bool {
    !raw.contains('%') && !raw.contains("//") && !raw.contains("/.") && raw.is_ascii()
}

fn decode(raw: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            high << 4 | low
        } else {
            byte
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Bytes as text, with what is not UTF-8 as `%XX`.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn resolve(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = true;
    for segment in path.split('/').skip(1) {
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    let mut resolved = String::with_capacity(path.len());
    for segment in &segments {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if is_folder {
        resolved.push('/');
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn as_nginx() {
        for (raw, normal) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("//a///b/", Some("/a/b/")),
            ("/a/./b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/a/..", Some("/")),
            ("/a/.", Some("/a/")),
            ("/a/b/../", Some("/a/")),
            ("/a%2fb", Some("/a/b")),
            ("/a/%2e%2e/b", Some("/b")),
            ("/%41%3f%23%25", Some("/A?#%")),
            ("/..", None),
            ("/a/../../b", None),
            ("/a%00b", None),
            ("/a%zz", None),
            ("/a%2", None),
            ("/caf%C3%A9", Some("/café")),
            ("/x%ff", Some("/x%FF")),
            ("/.hidden", Some("/.hidden")),
            ("/...", Some("/...")),
            ("*", Some("*")),
        ] {
            assert_eq!(normalize(raw).as_deref(), normal, "{raw}");
        }
    }
}
