//! Bodies between the proxy and a handler.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{Calling, Ends};
use crate::hook::{Part, Parts};
use crate::message::Fields;

/// A request's body as the guest reads it. The lock is never waited for: it only lets the body be
/// shared by reference, as the guest's resources are.
pub(super) struct Asked(Mutex<Box<dyn Parts>>);

impl Asked {
    pub(super) fn new(body: Box<dyn Parts>) -> Self {
        Self(Mutex::new(body))
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let part = ready!(self.0.get_mut().poll_part(cx));
        Poll::Ready(part.map(|part| match part {
            Ok(Part::Data(data)) => Ok(Frame::data(data)),
            Ok(Part::Trailers(fields)) => Ok(Frame::trailers(headers(&fields))),
            Err(why) => {
                tracing::debug!(why, "a request's body broke off");
                Err(Error::ConnectionTerminated)
            }
        }))
    }
}

fn headers(fields: &Fields) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for (name, value) in fields.iter() {
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(name.as_bytes()), http::HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// An answer's body as the guest writes it.
pub(super) struct Answered {
    body: HyperOutgoingBody,
    /// The end, once it has come: it goes on when the call has ended well.
    end: Option<Option<Fields>>,
    calling: Calling,
    _ends: Ends,
}

impl Answered {
    pub(super) fn new(body: HyperOutgoingBody, calling: Calling, ends: Ends) -> Self {
        Self { body, end: None, calling, _ends: ends }
    }
}

impl Parts for Answered {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, String>>> {
        while self.end.is_none() {
            match ready!(pin!(&mut self.body).poll_frame(cx)) {
                None => self.end = Some(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(format!("{error:?}")))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Some(Ok(Part::Data(data)))),
                    Err(frame) => self.end = Some(frame.into_trailers().ok().as_ref().map(Fields::from)),
                },
            }
        }
        // A guest that fails lets go of its body, which looks like an end of it.
        match ready!(pin!(&mut self.calling).poll(cx)) {
            Ok(Ok(())) => Poll::Ready(self.end.take().flatten().map(|fields| Ok(Part::Trailers(fields)))),
            Ok(Err(failure)) => Poll::Ready(Some(Err(failure.to_string()))),
            Err(_stopped) => Poll::Ready(Some(Err("the proxy is stopping".to_owned()))),
        }
    }
}
