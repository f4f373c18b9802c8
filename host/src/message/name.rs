//! Names and values of header lines that were checked (RFC 9110 §5.1, §5.5).

use std::fmt;

/// A header's name, in the case in which it will be written. Equal without regard to case.
#[derive(Debug, Clone)]
pub struct FieldName(String);

/// A header's value: any bytes but control characters other than a tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue(Vec<u8>);

/// What cannot stand in a header line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// The name is empty, too long, or has a byte that is not of a token.
    #[error("{0:?}: invalid HTTP header name")]
    Name(String),
    /// The value has a control character.
    #[error("a control character in a header's value")]
    Value,
}

impl FieldName {
    /// Check a name.
    ///
    /// # Errors
    /// [`BadField::Name`].
    pub fn new(name: impl Into<String>) -> Result<Self, BadField> {
        let name = name.into();
        let fits = !name.is_empty() && name.len() <= usize::from(u16::MAX);
        if fits && name.bytes().all(is_token) { Ok(Self(name)) } else { Err(BadField::Name(name)) }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for FieldName {}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FieldValue {
    /// Check a value. Nothing is copied.
    ///
    /// # Errors
    /// [`BadField::Value`].
    pub fn new(value: impl Into<Vec<u8>>) -> Result<Self, BadField> {
        let value = value.into();
        if value.iter().all(|b| is_value(*b)) { Ok(Self(value)) } else { Err(BadField::Value) }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A byte of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(FieldName::new("X-Real-IP").unwrap(), FieldName::new("x-real-ip").unwrap());
        assert_eq!(FieldName::new("X-Real-IP").unwrap().as_str(), "X-Real-IP");
        for bad in ["", "a b", "a:", "a\r", "ä"] {
            assert_eq!(FieldName::new(bad), Err(BadField::Name(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn values() {
        assert!(FieldValue::new(*b"a\tb \xff").is_ok());
        for bad in [&b"a\r\nb: c"[..], b"\0", b"\x7f", b"a\nb"] {
            assert_eq!(FieldValue::new(bad), Err(BadField::Value), "{bad:?}");
        }
    }
}
