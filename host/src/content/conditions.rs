//! Conditions of a request (RFC 9110 §13), as nginx reads them: `ngx_http_not_modified_filter`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::Fields;

/// What a file's version is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The strong entity tag: time and size in hexadecimal digits, as nginx's.
    pub(super) etag: String,
    /// When the file was changed, in whole seconds since 1970.
    pub(super) modified: u64,
}

/// What the conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The file is sent.
    Send,
    /// The client has it: 304.
    NotModified,
    /// It is not the version that the client means: 412.
    Failed,
}

impl Version {
    pub(super) fn new(modified: SystemTime, length: u64) -> Self {
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { etag: format!("\"{modified:x}-{length:x}\""), modified }
    }

    /// For Last-Modified.
    pub(super) fn date(&self) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(self.modified))
    }

    /// Judge the conditions of a request for it.
    ///
    /// A condition on time holds only for the very time (nginx's `if_modified_since exact`),
    /// and of If-None-Match and If-Modified-Since both must fail for a 304.
    pub(super) fn judge(&self, asked: &Fields) -> Outcome {
        if asked.get("if-unmodified-since").is_some_and(|date| seconds(date).is_none_or(|date| date < self.modified)) {
            return Outcome::Failed;
        }
        if asked.contains("if-match") && !self.is_listed(asked, "if-match", false) {
            return Outcome::Failed;
        }
        let (since, none_match) = (asked.get("if-modified-since"), asked.contains("if-none-match"));
        if since.is_none() && !none_match {
            return Outcome::Send;
        }
        if since.is_some_and(|date| seconds(date) != Some(self.modified)) {
            return Outcome::Send;
        }
        if none_match && !self.is_listed(asked, "if-none-match", true) {
            return Outcome::Send;
        }
        Outcome::NotModified
    }

    /// Whether If-Range allows a part (RFC 9110 §13.1.5).
    pub(super) fn may_be_parted(&self, asked: &Fields) -> bool {
        match asked.get("if-range") {
            None => true,
            Some(tag) if tag.ends_with(b"\"") => tag == self.etag.as_bytes(),
            Some(date) => seconds(date) == Some(self.modified),
        }
    }

    /// Whether a list has this version's tag; a weak comparison ignores `W/`.
    fn is_listed(&self, asked: &Fields, name: &str, weak: bool) -> bool {
        asked.get_all(name).flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).any(|tag| {
            let tag = if weak { tag.strip_prefix(b"W/").unwrap_or(tag) } else { tag };
            tag == b"*" || tag == self.etag.as_bytes()
        })
    }
}

fn seconds(date: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(date).ok()?.trim()).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 09 Sep 2001 01:46:40 GMT
    const TIME: u64 = 1_000_000_000;
    const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const LATER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";
    const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

    fn version() -> Version {
        Version::new(UNIX_EPOCH + Duration::from_secs(TIME), 42)
    }

    #[test]
    fn tag_and_date_are_nginxs() {
        assert_eq!(version().etag, "\"3b9aca00-2a\"");
        assert_eq!(version().date(), DATE);
    }

    #[test]
    fn conditions() {
        let tag = "\"3b9aca00-2a\"";
        let weak = format!("W/{tag}");
        let list = format!("\"x\", W/{tag}");
        for (lines, wanted) in [
            (vec![], Outcome::Send),
            (vec![("If-Modified-Since", DATE)], Outcome::NotModified),
            (vec![("If-Modified-Since", LATER)], Outcome::Send),
            (vec![("If-Modified-Since", EARLIER)], Outcome::Send),
            (vec![("If-Modified-Since", "yesterday")], Outcome::Send),
            (vec![("If-None-Match", tag)], Outcome::NotModified),
            (vec![("If-None-Match", &weak)], Outcome::NotModified),
            (vec![("If-None-Match", &list)], Outcome::NotModified),
            (vec![("If-None-Match", "*")], Outcome::NotModified),
            (vec![("If-None-Match", "\"x\"")], Outcome::Send),
            (vec![("If-None-Match", tag), ("If-Modified-Since", LATER)], Outcome::Send),
            (vec![("If-Match", tag)], Outcome::Send),
            (vec![("If-Match", "*")], Outcome::Send),
            (vec![("If-Match", &weak)], Outcome::Failed),
            (vec![("If-Match", "\"x\"")], Outcome::Failed),
            (vec![("If-Unmodified-Since", DATE)], Outcome::Send),
            (vec![("If-Unmodified-Since", LATER)], Outcome::Send),
            (vec![("If-Unmodified-Since", EARLIER)], Outcome::Failed),
        ] {
            assert_eq!(version().judge(&lines.iter().copied().collect()), wanted, "{lines:?}");
        }
    }

    #[test]
    fn parts_of_the_same_version_alone() {
        for (if_range, wanted) in
            [("\"3b9aca00-2a\"", true), ("W/\"3b9aca00-2a\"", false), ("\"x\"", false), (DATE, true), (LATER, false)]
        {
            assert_eq!(version().may_be_parted(&[("If-Range", if_range)].into_iter().collect()), wanted, "{if_range}");
        }
    }
}
