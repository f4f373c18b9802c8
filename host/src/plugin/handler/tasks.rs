//! Handlers of WASI 0.3: a task that returns its answer and goes on with the answer's body.
//!
//! Everything that a store does runs inside of its event loop, which cannot be trusted to look at a
//! timer: limits are kept from outside of it, by whoever polls the call.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{oneshot, watch};
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::exports::wasi::http::handler::GuestIndices;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

use super::Set;
use super::body::Asked;
use crate::plugin::abi::v0_1::HANDLER_3;
use crate::plugin::failure::Fault;
use crate::plugin::instance::Live;

/// Call the guest, to the end of all of its tasks and of its answer's body.
pub(super) async fn ask(live: &mut Live, asked: http::Request<Asked>, tell: oneshot::Sender<Set>) -> Result<(), Fault> {
    let indices = GuestIndices::new(&live.instance.instance_pre(&live.store));
    let guest = indices.and_then(|indices| indices.load(&mut live.store, &live.instance));
    let guest = guest.map_err(|error| Fault::Shape(HANDLER_3.to_owned(), error))?;
    let http = live.store.data_mut().http();
    // What the guest says of the request's body in the end is for nobody: its answer says it.
    let (asked, _judged) = Request::from_http(http.hooks, asked);
    let asked = http.table.push(asked).map_err(wasmtime::Error::from)?;
    let (whole, mut read) = watch::channel(());
    let mut sent = read.clone();
    let done = live.store.run_concurrent(async move |accessor| -> Result<(), Fault> {
        match guest.call_handle(accessor, asked).await? {
            Ok(response) => {
                let response = accessor.with(|mut store| {
                    let response = store.get().http().table.delete(response)?;
                    // The guest may ask how its answer went: it has gone on, or there is no guest.
                    response.into_http(&mut store, async move {
                        let _dropped = sent.changed().await;
                        Ok(())
                    })
                })?;
                let response = response.map(|body| WasiBody::new(Watched { body, whole: Some(whole) }));
                // Nobody listens where the client has gone.
                let _gone = tell.send(Ok(response));
            }
            Err(code) => {
                let _gone = tell.send(Err(format!("{code:?}")));
                drop(whole);
            }
        }
        // The loop that this runs in moves the guest's tasks, and the pieces of bodies: a body may
        // be another's that the guest only handed on, and outlive its tasks.
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        let _dropped = read.changed().await;
        Ok(())
    });
    done.await?
}

/// A body that tells of its end.
struct Watched {
    body: WasiBody,
    /// Dropped with the last piece.
    whole: Option<watch::Sender<()>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.whole = None;
        }
        Poll::Ready(frame)
    }
}
