//! Requests to authorities: few, small, each over a connection of its own.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::{Alpn, Client, ServerName};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer, bytes: a chain of certificates is some KiB.
const LARGEST: usize = 1 << 20;

/// Whose certificates an authority's own server must have.
pub type Trust = Client;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The URL is none that can be asked.
    #[error("{0} is no URL that can be asked")]
    Url(Uri),
    /// No connection.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    /// No handshake.
    #[error("no TLS with {0}: {1}")]
    Tls(String, std::io::Error),
    /// No HTTP.
    #[error("no answer from {0}: {1}")]
    Http(String, Box<dyn std::error::Error + Send + Sync>),
    /// Nothing, for too long.
    #[error("no answer from {0} within {PATIENCE:?}")]
    Late(String),
}

/// Where a URL leads.
struct Place {
    tls: bool,
    host: String,
    port: u16,
    /// Path and query.
    target: Uri,
    authority: HeaderValue,
}

impl Place {
    fn of(url: &Uri) -> Option<Self> {
        let tls = match url.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = url.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let target = url.path_and_query().map_or("/", |target| target.as_str()).parse().ok()?;
        let authority = HeaderValue::from_str(authority.as_str().rsplit('@').next()?).ok()?;
        Some(Self { tls, host, port, target, authority })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Send a request to an absolute URL; one of https only where there is somebody to trust. Redirects
/// are not followed. Names are looked up as the system does it.
///
/// # Errors
/// [`Failed`]; an answer with a status of failure is none.
pub(super) async fn send(trust: Option<&Trust>, mut request: Request<Bytes>) -> Result<Response<Bytes>, Failed> {
    let place = Place::of(request.uri()).filter(|place| trust.is_some() || !place.tls);
    let place = place.ok_or_else(|| Failed::Url(request.uri().clone()))?;
    *request.uri_mut() = place.target.clone();
    request.headers_mut().insert(HOST, place.authority.clone());
    let request = request.map(Full::new);
    let sending = async {
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await;
        let tcp = tcp.map_err(|error| Failed::Connect(place.to_string(), error))?;
        let Some(trust) = trust.filter(|_| place.tls) else { return exchange(tcp, request, &place).await };
        let name = ServerName::try_from(place.host.clone());
        let name = name.map_err(|error| Failed::Tls(place.to_string(), std::io::Error::other(error)))?;
        let shaken = TlsConnector::from(trust.config(Alpn::Http1)).connect(name, tcp).await;
        let stream = shaken.map_err(|error| Failed::Tls(place.to_string(), error))?;
        exchange(stream, request, &place).await
    };
    // Boxed, since it is large and rare.
    let late = |_elapsed| Failed::Late(place.to_string());
    tokio::time::timeout(PATIENCE, Box::pin(sending)).await.map_err(late)?
}

async fn exchange<IO>(stream: IO, request: Request<Full<Bytes>>, place: &Place) -> Result<Response<Bytes>, Failed>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Failed::Http(place.to_string(), error);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
    let mut asking = pin!(async move {
        let (head, body) = sender.send_request(request).await.map_err(|error| failed(error.into()))?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(failed)?.to_bytes();
        Ok(Response::from_parts(head, body))
    });
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        // It may end with the last byte of the answer, which is there then.
        _ended = connection => asking.await,
    }
}

/// After how long one may ask again (RFC 9110 §10.2.3); none where nothing is said.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_date) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_urls_lead() {
        let place = |url: &str| Place::of(&url.parse().unwrap()).map(|p| (p.tls, p.to_string(), p.target.to_string()));
        assert_eq!(place("https://ca.test/dir?a=b"), Some((true, "ca.test:443".to_owned(), "/dir?a=b".to_owned())));
        assert_eq!(place("http://ca.test:81"), Some((false, "ca.test:81".to_owned(), "/".to_owned())));
        assert_eq!(place("http://[::1]:81/x"), Some((false, "::1:81".to_owned(), "/x".to_owned())));
        assert_eq!(place("ldap://ca.test/x"), None);
        assert_eq!(place("/x"), None);
    }

    #[test]
    fn when_to_ask_again() {
        let after = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers)
        };
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("soon"), None);
        let hour = SystemTime::now() + Duration::from_secs(3600);
        let read = after(&httpdate::fmt_http_date(hour)).unwrap();
        assert!(read > Duration::from_secs(3590) && read <= Duration::from_secs(3600), "{read:?}");
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), None);
    }
}
