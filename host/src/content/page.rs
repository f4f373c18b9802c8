//! A file as an answer: its headers, conditions and ranges.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use super::conditions::{Outcome, Version};
use super::file::{FileBody, Part, Unread};
use super::mime;
use super::range::{self, Wanted};
use crate::body::Body;
use crate::config::Files;
use crate::error::{Error, Kind};
use crate::message::{Fields, ResponseHead};

/// A file that is to be an answer.
pub struct FilePage {
    file: File,
    /// Its bytes, where it is small and was read already.
    whole: Option<Bytes>,
    length: u64,
    kind: HeaderValue,
    version: Version,
}

impl FilePage {
    pub(super) fn new(files: &Files, path: &str, file: File, about: &Metadata, whole: Option<Bytes>) -> Self {
        let length = about.len();
        let version = Version::new(about.modified().unwrap_or(UNIX_EPOCH), length);
        Self { file, whole, length, kind: mime::of(files, path), version }
    }

    /// Its length, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The head of the whole file.
    pub fn head(&self) -> ResponseHead {
        let mut fields = Fields::new();
        fields.append("Content-Type", self.kind.as_bytes());
        fields.append("Last-Modified", self.version.date().as_bytes());
        fields.append("ETag", self.version.etag.as_bytes());
        ResponseHead::new(StatusCode::OK, fields)
    }

    /// The whole file, whatever the request says: the page of an error.
    pub fn whole(self, method: &Method) -> (ResponseHead, Body) {
        (self.head(), self.body(method))
    }

    /// The answer to a request with these headers; `parts` says whether ranges may be sent.
    ///
    /// # Errors
    /// [`Kind::Precondition`], or [`Kind::Range`] for ranges outside of the file.
    pub fn answer(self, method: &Method, asked: &Fields, parts: bool) -> Result<(ResponseHead, Body), Error> {
        match self.version.judge(asked) {
            Outcome::Send => {}
            Outcome::Failed => return Err(Kind::Precondition.into()),
            Outcome::NotModified => {
                let mut head = self.head();
                head.status = StatusCode::NOT_MODIFIED;
                head.fields.remove("content-type");
                return Ok((head, Body::Empty));
            }
        }
        let wanted = match asked.get("range").filter(|_| parts && self.version.may_be_parted(asked)) {
            Some(header) => range::parse(header, self.length),
            None => Wanted::Whole,
        };
        match wanted {
            Wanted::Parts(ranges) => Ok(self.parts(method, &ranges)),
            Wanted::Unsatisfiable => Err(Kind::Range(self.length).into()),
            Wanted::Whole => {
                let mut head = self.head();
                if parts {
                    head.fields.append("Accept-Ranges", b"bytes");
                }
                Ok((head, self.body(method)))
            }
        }
    }

    fn body(self, method: &Method) -> Body {
        match self.whole {
            _ if *method == Method::HEAD => unread(self.length),
            Some(bytes) => Body::Full(bytes),
            None => {
                let part = Part { before: Bytes::new(), at: 0, end: self.length };
                Body::Stream(Box::new(FileBody::new(self.file, VecDeque::from([part]), Bytes::new())))
            }
        }
    }

    fn parts(self, method: &Method, ranges: &[Range<u64>]) -> (ResponseHead, Body) {
        let mut head = self.head();
        head.status = StatusCode::PARTIAL_CONTENT;
        let length = self.length;
        let says = |range: &Range<u64>| format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
        let mut after = Bytes::new();
        let parts: VecDeque<Part> = match ranges {
            [range] => {
                head.fields.append("Content-Range", says(range).as_bytes());
                VecDeque::from([Part { before: Bytes::new(), at: range.start, end: range.end }])
            }
            // RFC 9110 §14.6: each part has a head of its own.
            ranges => {
                let boundary = boundary();
                let kind = String::from_utf8_lossy(self.kind.as_bytes());
                head.fields.set("Content-Type", format!("multipart/byteranges; boundary={boundary}").as_bytes());
                after = format!("\r\n--{boundary}--\r\n").into();
                let before = |range| {
                    format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n", says(range)).into()
                };
                ranges.iter().map(|range| Part { before: before(range), at: range.start, end: range.end }).collect()
            }
        };
        let body = FileBody::new(self.file, parts, after);
        let body = if *method == Method::HEAD { unread(body_length(&body)) } else { Body::Stream(Box::new(body)) };
        (head, body)
    }
}

fn unread(length: u64) -> Body {
    Body::Stream(Box::new(Unread(length)))
}

fn body_length(body: &FileBody) -> u64 {
    match crate::body::Source::length(body) {
        crate::http1::Length::Known(length) => length,
        _ => 0,
    }
}

/// Twenty digits, as nginx's. A file with the same text in it could only confuse whoever asks
/// for several parts of it.
fn boundary() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:020}", NEXT.fetch_add(1, Ordering::Relaxed))
}
