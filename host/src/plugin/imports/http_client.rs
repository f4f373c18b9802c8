//! `tidegate:plugin/http-client`: requests of the plugin's own. What a guest asks for is
//! checked here, so that no later code meets a request that could be two.

use std::time::Duration;

use http::Method;

use super::wit::http_client::{FetchError, Host, Request, Response};
use super::wit::types::Field;
use crate::hook::{self, FRAMING, FetchRequest, is_one_of};
use crate::message::{FieldName, FieldValue};
use crate::plugin::instance::Ctx;
use crate::plugin::load::denial;

/// The largest body of a request, bytes.
const LARGEST_REQUEST: usize = 256 << 10;
/// The largest body of an answer that can be wanted, bytes.
const LARGEST_ANSWER: usize = 1 << 20;

impl Host for Ctx {
    async fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<Response, FetchError>> {
        self.meter.allow_call()?;
        let fetching = match self.sender(request) {
            Ok(fetching) => fetching,
            Err(error) => return Ok(Err(error)),
        };
        Ok(fetching.await.map(answer).map_err(refusal))
    }
}

impl Ctx {
    fn sender(&self, request: Request) -> Result<hook::Fetching, FetchError> {
        let denied = |why: &str| FetchError::Denied(why.to_owned());
        // What cannot be sent is told before what may not be: it is the author's to mend.
        let request = checked(request)?;
        if !self.configured {
            return Err(denied("there is no request to make it for: only hooks can fetch, not `configure`"));
        }
        let fetch = self.shared.fetch.as_ref().ok_or_else(|| {
            let what = denial(&self.shared.name, &format!("http-client:{}", request.destination));
            FetchError::Denied(format!("the plugin has no grant for http-client: {what}"))
        })?;
        Ok(fetch.fetch(request))
    }
}

fn checked(request: Request) -> Result<FetchRequest, FetchError> {
    let method = Method::from_bytes(request.method.as_bytes()).ok().filter(|method| *method != Method::CONNECT);
    let method = method.ok_or_else(|| FetchError::Invalid(format!("{:?} is not a method for this", request.method)))?;
    let (destination, target) = split(&request.url)?;
    if request.body.len() > LARGEST_REQUEST {
        return Err(FetchError::TooLarge);
    }
    let fields = request.fields.into_iter().map(line).collect::<Result<Vec<_>, _>>()?;
    if fields.iter().filter(|(name, _)| name.as_str().eq_ignore_ascii_case("host")).count() > 1 {
        return Err(FetchError::Invalid("more than one Host".to_owned()));
    }
    let max_body = usize::try_from(request.max_body).unwrap_or(usize::MAX).min(LARGEST_ANSWER);
    let timeout = Some(request.timeout_ms).filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms.into()));
    Ok(FetchRequest { method, destination, target, fields, body: request.body.into(), timeout, max_body })
}

fn line(field: Field) -> Result<(FieldName, FieldValue), FetchError> {
    let Field { name, value } = field;
    if is_one_of(&FRAMING, &name) || name.eq_ignore_ascii_case("expect") {
        return Err(FetchError::Invalid(format!("`{name}` is the host's to write")));
    }
    let name = FieldName::new(name.as_str()).map_err(|error| FetchError::Invalid(format!("{name:?}: {error}")))?;
    let value = FieldValue::new(value).map_err(|error| FetchError::Invalid(format!("`{name}`: {error}")))?;
    Ok((name, value))
}

/// The destination as grants name it, and path and query.
fn split(url: &str) -> Result<(String, String), FetchError> {
    let invalid = |why: &str| FetchError::Invalid(format!("{url:?} {why}"));
    let known = ["http://", "https://", "upstream:"];
    let Some((scheme, rest)) = known.into_iter().find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?))) else {
        return Err(invalid("begins with none of `upstream:`, `http://` and `https://`"));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    // It becomes a request line: a space or a line end in it would be another request.
    if place.is_empty() || !target.bytes().all(|b| b > b' ' && b != b'#' && b != 0x7f) {
        return Err(invalid("is not a destination with a path"));
    }
    if scheme == "upstream:" {
        return Ok((format!("{scheme}{place}"), target));
    }
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = match scheme {
        _ if has_port => "",
        "https://" => ":443",
        _ => ":80",
    };
    Ok((format!("{scheme}{}{port}", place.to_ascii_lowercase()), target))
}

fn answer(response: hook::FetchResponse) -> Response {
    Response { status: response.status.as_u16(), fields: super::fields(&response.fields), body: response.body }
}

fn refusal(error: hook::FetchError) -> FetchError {
    match error {
        hook::FetchError::Denied(why) => FetchError::Denied(why),
        hook::FetchError::Invalid(why) => FetchError::Invalid(why),
        hook::FetchError::Connect(why) => FetchError::Connect(why),
        hook::FetchError::Timeout => FetchError::Timeout,
        hook::FetchError::Closed(why) => FetchError::Closed(why),
        hook::FetchError::Protocol(why) => FetchError::Protocol(why),
        hook::FetchError::TooLarge => FetchError::TooLarge,
        hook::FetchError::Other(why) => FetchError::Other(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> Request {
        Request {
            method: "GET".into(),
            url: url.into(),
            fields: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
            max_body: 0,
        }
    }

    #[test]
    fn urls_are_a_destination_and_a_target() {
        for (url, destination, target) in [
            ("upstream:auth/verify?x=1", "upstream:auth", "/verify?x=1"),
            ("upstream:auth", "upstream:auth", "/"),
            ("http://A.test/x", "http://a.test:80", "/x"),
            ("https://A.test/x", "https://a.test:443", "/x"),
            ("https://a.test:8443", "https://a.test:8443", "/"),
            ("http://127.0.0.1:9000?q", "http://127.0.0.1:9000", "/?q"),
            ("http://[::1]:9000/", "http://[::1]:9000", "/"),
            ("http://[::1]/", "http://[::1]:80", "/"),
            ("http://user@a.test/", "http://user@a.test:80", "/"),
        ] {
            assert_eq!(split(url), Ok((destination.into(), target.into())), "{url}");
        }
        for url in ["", "/x", "ftp://a/", "https:///x", "http://", "http:///x", "upstream:/x", "upstream:a/x y"] {
            assert!(matches!(split(url), Err(FetchError::Invalid(_))), "{url}");
        }
        for target in ["/x\r\nHost: y", "/x#y", "/\0", "/\u{7f}", "#y"] {
            assert!(matches!(split(&format!("upstream:a{target}")), Err(FetchError::Invalid(_))), "{target:?}");
        }
    }

    #[test]
    fn what_is_the_hosts_or_cannot_be_is_refused() {
        let with = |name: &str, value: &[u8]| {
            let fields = vec![Field { name: name.into(), value: value.into() }];
            checked(Request { fields, ..request("upstream:a/") })
        };
        assert!(with("Sec-WebSocket-Key", b"x").is_ok());
        for name in FRAMING.into_iter().chain(["Expect", "CONTENT-LENGTH", "a b", ""]) {
            assert!(matches!(with(name, b"1"), Err(FetchError::Invalid(_))), "{name}");
        }
        assert!(matches!(with("x", b"a\r\nb: c"), Err(FetchError::Invalid(_))));
        for method in ["", "G T", "CONNECT", "GET\r\n"] {
            let bad = Request { method: method.into(), ..request("upstream:a/") };
            assert!(matches!(checked(bad), Err(FetchError::Invalid(_))), "{method:?}");
        }
        let large = Request { body: vec![0; LARGEST_REQUEST + 1], ..request("upstream:a/") };
        assert_eq!(checked(large), Err(FetchError::TooLarge));
        let wanted = checked(Request { max_body: u32::MAX, timeout_ms: 5, ..request("upstream:a/") }).unwrap();
        assert_eq!((wanted.max_body, wanted.timeout), (LARGEST_ANSWER, Some(Duration::from_millis(5))));
    }
}
