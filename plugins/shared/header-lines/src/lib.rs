//! Header lines that a configuration names: which can be, and those that protect browsers.

/// Headers of the connection or the framing, which the host refuses to have edited.
const OWNED_BY_HOST: [&str; 12] = [
    "connection",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "proxy-connection",
    "http2-settings",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-accept",
];

/// The lines that both of the guides' configurations have, but for what is only for TLS.
pub const SECURITY: [(&str, &str); 3] =
    [("X-Frame-Options", "SAMEORIGIN"), ("X-Content-Type-Options", "nosniff"), ("X-XSS-Protection", "1; mode=block")];

/// RFC 6797 §7.2: over TLS only. The guides' value.
pub const STRICT_TRANSPORT: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains");

/// The bytes of a value. A variable may hold what no header may (`$uri` is decoded), and
/// the host would refuse the whole answer: such a byte becomes a space (RFC 9110, 5.5).
pub fn sound(value: String) -> Vec<u8> {
    let mut bytes = value.into_bytes();
    for byte in &mut bytes {
        if byte.is_ascii_control() && *byte != b'\t' {
            *byte = b' ';
        }
    }
    bytes
}

/// Whether a header of this name can be set.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("`{name}` is not a header name"));
    }
    if OWNED_BY_HOST.iter().any(|owned| name.eq_ignore_ascii_case(owned)) {
        return Err(format!("`{name}` is the proxy's to set (WebSockets need no headers for it)"));
    }
    Ok(())
}

/// Whether a value, or a template of one, can stand in a header.
///
/// # Errors
/// Why not.
pub fn check_value(value: &str) -> Result<(), String> {
    match value.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        Some(found) => Err(format!("`{}` cannot stand in a header", found.escape_default())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        assert_eq!(check_name("X-Frame-Options"), Ok(()));
        assert_eq!(check_name("X Y"), Err("`X Y` is not a header name".to_owned()));
        assert!(check_name("Upgrade").is_err_and(|why| why.contains("the proxy's")));
        assert_eq!(check_value("a\tb"), Ok(()));
        assert!(check_value("a\nb").is_err());
        assert_eq!(sound("a\r\nb\tc".to_owned()), b"a  b\tc");
    }
}
