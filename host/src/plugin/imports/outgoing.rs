//! `wasi:http/outgoing-handler`: requests of the plugin's own, through the same grants as
//! `http-client`. Without a grant every one is denied.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::hook::{FRAMING, Fetch, FetchError, FetchRequest, FetchResponse, is_one_of};
use crate::message::{FieldName, FieldValue};

/// The largest body of a request, bytes; as of `http-client`.
const LARGEST_REQUEST: usize = 256 << 10;
/// The largest body of an answer, bytes; as of `http-client`.
const LARGEST_ANSWER: usize = 1 << 20;
/// The most that a guest writes to a body at once, bytes.
const LARGEST_WRITE: usize = 64 << 10;

/// What a component's `wasi:http` leads to.
pub(in crate::plugin) struct Outgoing {
    fetch: Option<Arc<dyn Fetch>>,
}

impl Outgoing {
    /// By this sender; none denies every request.
    pub(in crate::plugin) fn new(fetch: Option<Arc<dyn Fetch>>) -> Self {
        Self { fetch }
    }
}

/// What goes on with a connection beside the answer; nothing, since answers come whole.
type Beside = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Beside), Error>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Beside,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let fetch = self.fetch.clone();
        Box::new(async move {
            let fetch = fetch.ok_or(Error::HttpRequestDenied)?;
            let answer = fetch.fetch(checked(request, options).await?).await.map_err(refusal)?;
            Ok((response(answer)?, Box::new(async { Ok(()) }) as Beside))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        LARGEST_WRITE
    }
}

/// The request as the proxy sends requests of plugins: whole, and without framing.
async fn checked(request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Result<FetchRequest, Error> {
    let (parts, body) = request.into_parts();
    let invalid = || Error::HttpRequestUriInvalid;
    let scheme = parts.uri.scheme_str().ok_or_else(invalid)?;
    let host = parts.uri.host().ok_or_else(invalid)?.to_ascii_lowercase();
    let port = parts.uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut fields = Vec::new();
    for (name, value) in &parts.headers {
        if is_one_of(&FRAMING, name.as_str()) || *name == http::header::EXPECT {
            continue;
        }
        let name = FieldName::new(name.as_str()).map_err(|_| Error::HttpProtocolError)?;
        let value = FieldValue::new(value.as_bytes()).map_err(|_| Error::HttpProtocolError)?;
        fields.push((name, value));
    }
    Ok(FetchRequest {
        method: parts.method,
        destination: format!("{scheme}://{host}:{port}"),
        target: target.to_owned(),
        fields,
        body: whole(body).await?,
        timeout: options.and_then(|options| options.first_byte_timeout),
        max_body: LARGEST_ANSWER,
    })
}

/// All of a body.
async fn whole(body: WasiBody) -> Result<Bytes, Error> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are not sent on.
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > LARGEST_REQUEST {
            return Err(Error::HttpRequestBodySize(None));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn response(answer: FetchResponse) -> Result<http::Response<WasiBody>, Error> {
    let mut response = http::Response::new(WasiBody::new(Whole(answer.body.into())));
    *response.status_mut() = answer.status;
    for (name, value) in answer.fields.iter() {
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::HttpProtocolError)?;
        let value = http::HeaderValue::from_bytes(value).map_err(|_| Error::HttpProtocolError)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// A body that is here.
struct Whole(Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }
}

fn refusal(error: FetchError) -> Error {
    match error {
        FetchError::Denied(_) => Error::HttpRequestDenied,
        FetchError::Invalid(_) => Error::HttpRequestUriInvalid,
        FetchError::Connect(_) => Error::ConnectionRefused,
        FetchError::Timeout => Error::HttpResponseTimeout,
        FetchError::Closed(_) => Error::ConnectionTerminated,
        FetchError::Protocol(_) => Error::HttpProtocolError,
        FetchError::TooLarge => Error::HttpResponseBodySize(None),
        FetchError::Other(why) => Error::InternalError(Some(why)),
    }
}
