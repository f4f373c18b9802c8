//! Requests of the plugin's own, to destinations that `grants` in `[plugins.NAME]` names.
//! Only within a hook. The request that the hook is about waits meanwhile, and others do not.
//!
//! ```
//! use tidegate_plugin::{http_client::{FetchError, Request, Response}, testing};
//!
//! testing::answer_fetches(|request| match request.url.as_str() {
//!     "upstream:keys/current" => Ok(Response::new(200).text("k1")),
//!     _ => Err(FetchError::Denied("no grant".to_owned())),
//! });
//! testing::with(&testing::Request::get("/"), || {
//!     let answer = Request::get("upstream:keys/current").header("Accept", "text/plain").max_body(1024).send()?;
//!     assert_eq!((answer.status, answer.body.as_slice()), (200, &b"k1"[..]));
//!     assert_eq!(answer.header("content-type"), Some(&b"text/plain; charset=utf-8"[..]));
//!     assert!(Request::get("upstream:other/").send().is_err());
//!     Ok::<(), FetchError>(())
//! }).unwrap();
//! ```

use std::time::Duration;

use crate::Field;
#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::http_client as host;
pub use crate::bindings::imports::tidegate::plugin::http_client::{FetchError, Request, Response};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::http_client as host;

impl Request {
    /// A request of this method to this URL: a granted destination, then path and query, such
    /// as `upstream:auth/verify` or `http://127.0.0.1:9000/verify`. No body of the answer is
    /// wanted, and the only limit of time is the call's deadline.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let (method, url) = (method.into(), url.into());
        Self { method, url, fields: Vec::new(), body: Vec::new(), timeout_ms: 0, max_body: 0 }
    }

    /// A GET of this URL.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// With one more header line. Framing is the host's to write.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into() });
        self
    }

    /// With this body, of at most 256 KiB.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// For at most this long, to the millisecond.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
        self
    }

    /// With the answer's body, where it has no more bytes than this (at most 1 MiB).
    #[must_use]
    pub fn max_body(mut self, bytes: u32) -> Self {
        self.max_body = bytes;
        self
    }

    /// Send it and wait for the answer. Redirects are not followed.
    ///
    /// # Errors
    /// Why there is none: `Denied` where the configuration has no grant for it.
    pub fn send(&self) -> Result<Response, FetchError> {
        host::fetch(self)
    }
}

impl Response {
    /// An answer for a test.
    pub fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Vec::new() }
    }

    /// With one more header line, for a test; the name in lower case, as the host gives it.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push(Field { name: name.to_ascii_lowercase(), value: value.into() });
        self
    }

    /// With this text as its body, for a test.
    #[must_use]
    pub fn text(self, body: impl Into<String>) -> Self {
        let mut with = self.with_header("content-type", "text/plain; charset=utf-8");
        with.body = body.into().into();
        with
    }

    /// The first value of a header, its raw bytes; the name in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_slice())
    }

    /// All values of a header, in order.
    pub fn header_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_slice())
    }
}

/// An error in words, for a log.
pub fn describe(error: &FetchError) -> String {
    match error {
        FetchError::Denied(why) => format!("denied: {why}"),
        FetchError::Invalid(why) => format!("invalid: {why}"),
        FetchError::Connect(why) => format!("no connection: {why}"),
        FetchError::Timeout => "no answer in time".to_owned(),
        FetchError::Closed(why) => format!("broken off: {why}"),
        FetchError::Protocol(why) => format!("not an answer: {why}"),
        FetchError::TooLarge => "a body is too large".to_owned(),
        FetchError::Other(why) => why.clone(),
    }
}
