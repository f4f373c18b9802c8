//! How long a body is: the one place that reads framing headers (RFC 9112 §6).

use http::{Method, StatusCode, Version};

use crate::message::Fields;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After so many bytes; 0 where there is no body.
    Known(u64),
    /// By its last chunk.
    Chunked,
    /// With the connection: responses only.
    UntilClose,
}

/// What cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLength {
    /// Content-Length is not one number of bytes.
    #[error("Content-Length is not one number")]
    ContentLength,
    /// Both Content-Length and Transfer-Encoding: whoever goes by the other one would see
    /// another message (RFC 9112 §11.2). nginx refuses it too.
    #[error("both Content-Length and Transfer-Encoding")]
    Both,
    /// Transfer-Encoding in HTTP/1.0, which has none.
    #[error("Transfer-Encoding in HTTP/1.0")]
    OldVersion,
    /// A transfer coding other than `chunked`, alone and once.
    #[error("a transfer coding other than chunked")]
    Coding,
}

/// How the body of a request ends (RFC 9112 §6.3).
///
/// # Errors
/// What is ambiguous or not understood.
pub fn request_length(fields: &Fields, version: Version) -> Result<Length, BadLength> {
    Ok(framing(fields, version)?.unwrap_or(Length::Known(0)))
}

/// How the body of a response to a request of this method ends.
///
/// # Errors
/// What is ambiguous or not understood.
pub fn response_length(
    asked: &Method,
    status: StatusCode,
    fields: &Fields,
    version: Version,
) -> Result<Length, BadLength> {
    let framing = framing(fields, version)?;
    if has_no_body(asked, status) { Ok(Length::Known(0)) } else { Ok(framing.unwrap_or(Length::UntilClose)) }
}

/// Whether a response never has a body, whatever its headers say (RFC 9112 §6.3 item 1).
pub fn has_no_body(asked: &Method, status: StatusCode) -> bool {
    *asked == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304)
}

fn framing(fields: &Fields, version: Version) -> Result<Option<Length>, BadLength> {
    let (mut lengths, mut codings) = (fields.get_all("content-length"), fields.get_all("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(BadLength::Both),
        (Some(length), None) if lengths.next().is_none() => number(length).map(Length::Known).map(Some),
        (Some(_), None) => Err(BadLength::ContentLength),
        (None, Some(_)) if version == Version::HTTP_10 => Err(BadLength::OldVersion),
        (None, Some(coding)) if codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Some(Length::Chunked))
        }
        (None, Some(_)) => Err(BadLength::Coding),
    }
}

/// Digits alone: no sign, no list, no space (RFC 9110 §8.6).
fn number(text: &[u8]) -> Result<u64, BadLength> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or(BadLength::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&str, &str)]) -> Result<Length, BadLength> {
        request_length(&lines.iter().copied().collect(), Version::HTTP_11)
    }

    #[test]
    fn requests() {
        assert_eq!(of(&[]), Ok(Length::Known(0)));
        assert_eq!(of(&[("Content-Length", "12")]), Ok(Length::Known(12)));
        assert_eq!(of(&[("transfer-encoding", "Chunked")]), Ok(Length::Chunked));
        for bad in ["", "+1", "-1", "0x5", "5, 5", "5 ", "99999999999999999999"] {
            assert_eq!(of(&[("Content-Length", bad)]), Err(BadLength::ContentLength), "{bad:?}");
        }
        assert_eq!(of(&[("Content-Length", "5"), ("content-length", "5")]), Err(BadLength::ContentLength));
        assert_eq!(of(&[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]), Err(BadLength::Both));
        for bad in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", ""] {
            assert_eq!(of(&[("Transfer-Encoding", bad)]), Err(BadLength::Coding), "{bad:?}");
        }
        let old = [("Transfer-Encoding", "chunked")].into_iter().collect();
        assert_eq!(request_length(&old, Version::HTTP_10), Err(BadLength::OldVersion));
    }

    #[test]
    fn responses() {
        let fields: Fields = [("Content-Length", "9")].into_iter().collect();
        let length = |method, status| response_length(&method, status, &fields, Version::HTTP_11);
        assert_eq!(length(Method::GET, StatusCode::OK), Ok(Length::Known(9)));
        assert_eq!(length(Method::HEAD, StatusCode::OK), Ok(Length::Known(0)));
        assert_eq!(length(Method::GET, StatusCode::NOT_MODIFIED), Ok(Length::Known(0)));
        let open = response_length(&Method::GET, StatusCode::OK, &Fields::new(), Version::HTTP_10);
        assert_eq!(open, Ok(Length::UntilClose));
    }
}
