//! Percent-encoding as nginx has it: `ngx_escape_uri` and `ngx_unescape_uri`.

/// How a text is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// A path: `NGX_ESCAPE_URI`.
    Path,
    /// A part of a query: `NGX_ESCAPE_ARGS`.
    Query,
}

impl As {
    fn escapes(self, byte: u8) -> bool {
        must_escape(byte) || (self == Self::Query && matches!(byte, b'&' | b'+' | b';'))
    }
}

/// What nginx (1.21.1 and later) escapes in a path.
fn must_escape(byte: u8) -> bool {
    !(b'!'..=b'~').contains(&byte)
        || matches!(byte, b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Whether nginx would escape pieces of this path when it puts them together again: its
/// `quoted_uri`, and `plus_in_uri` for a query.
pub(crate) fn was_escaped(raw_path: &str, how: As) -> bool {
    raw_path.contains('%') || (how == As::Query && raw_path.contains('+'))
}

/// Add a piece of a decoded path to a target, escaped.
///
/// The contract leaves a decoded byte that is not UTF-8 as `%XX`: that is escaped already,
/// unless the client (in `raw_path`) sent an escaped percent sign.
pub(crate) fn escape(text: &str, how: As, raw_path: &str, out: &mut String) {
    if !text.bytes().any(|byte| how.escapes(byte)) {
        out.push_str(text);
        return;
    }
    let sent_percent = raw_path.contains("%25");
    let mut rest = text;
    while let Some(byte) = rest.bytes().next() {
        let kept = if byte == b'%' && !sent_percent { escaped_byte(rest) } else { None };
        if let Some(kept) = kept {
            out.push_str(kept);
            rest = rest.get(kept.len()..).unwrap_or_default();
            continue;
        }
        let length = rest.chars().next().map_or(1, char::len_utf8);
        let (first, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        for byte in first.bytes() {
            if how.escapes(byte) { push(byte, out) } else { out.push(char::from(byte)) }
        }
        rest = tail;
    }
}

/// The `%XX` that a text begins with, if it stands for a byte that is not ASCII.
fn escaped_byte(text: &str) -> Option<&str> {
    let code = text.get(1..3)?;
    let byte = u8::from_str_radix(code, 16).ok()?;
    (byte >= 0x80).then(|| text.get(..3)).flatten()
}

/// A query that a rule made: what cannot stand in a request's target is escaped, where nginx
/// would send it on.
pub(crate) fn query(text: String) -> String {
    let escapes = |byte: u8| byte <= b' ' || matches!(byte, b'"' | b'#' | b'<' | b'>' | 0x7f);
    if !text.bytes().any(escapes) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if escapes(byte) => push(byte, &mut out),
            _ => out.push(c),
        }
    }
    out
}

/// A path of the configuration as the value of a Location header.
pub(crate) fn path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if must_escape(byte) { push(byte, &mut out) } else { out.push(char::from(byte)) }
    }
    out
}

/// Unescape the printable bytes of a redirect's path, up to its `?`:
/// `NGX_UNESCAPE_REDIRECT`.
pub(crate) fn unescape_redirect(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '?']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let code = from.strip_prefix('%').and_then(|code| code.get(..2));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match byte {
            Some(b'?') => {
                out.push('?');
                rest = from.get(3..).unwrap_or_default();
                break;
            }
            Some(byte @ b'&'..=b'~') => {
                out.push(char::from(byte));
                rest = from.get(3..).unwrap_or_default();
            }
            _ if from.starts_with('?') => {
                rest = from;
                break;
            }
            _ => {
                out.push('%');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// A text that may stand in a header line: control characters are escaped, so that no
/// decoded line end makes a header of its own.
pub(crate) fn for_header(text: String) -> String {
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii_control() => push(byte, &mut out),
            _ => out.push(c),
        }
    }
    out
}

fn push(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    for half in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(half)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_unescaped_up_to_the_query() {
        for (text, expected) in [
            ("/a", "/a"),
            ("/%61%2Fb%20c%25", "/a/b%20c%25"),
            ("/a%3Fb%61?%61", "/a?b%61?%61"),
            ("/a?%61", "/a?%61"),
            ("/%zz%", "/%zz%"),
            ("/é%C3", "/é%C3"),
        ] {
            assert_eq!(unescape_redirect(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_stay_only_where_the_contract_made_them() {
        let escaped = |text: &str, raw: &str| {
            let mut out = String::new();
            escape(text, As::Path, raw, &mut out);
            out
        };
        assert_eq!(escaped("/é %FF%20%zz%", "/"), "/%C3%A9%20%FF%2520%25zz%25");
        assert_eq!(escaped("/%FF", "/%25FF"), "/%25FF");
        assert_eq!(query("a=b c\r\n<é>#".to_owned()), "a=b%20c%0D%0A%3Cé%3E%23");
    }

    #[test]
    fn no_line_end_gets_into_a_header() {
        assert_eq!(for_header("/a\r\nSet-Cookie: é\t".to_owned()), "/a%0D%0ASet-Cookie: é%09");
    }
}
