//! Components that answer requests themselves: `wasi:http/incoming-handler@0.2`.
//!
//! Each request has an instance of its own, and a task in which its call runs: the call goes on
//! while the answer's body is read from it, and ends with it.

mod body;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::exports::wasi::http::incoming_handler::GuestIndices;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::abi::v0_1::HANDLER;
use super::clock;
use super::failure::{Failure, Fault};
use super::instance::{Exchange, Live};
use super::lane::Lane;
use super::loaded::Loaded;
use crate::hook::{FRAMING, HandlerAnswer, HandlerRequest, Handling, Hook, HookFailure, HookFailureKind, is_one_of};
use crate::message::Fields;
use body::{Answered, Asked};

/// What the guest sets as its answer.
type Set = Result<http::Response<HyperOutgoingBody>, ErrorCode>;
/// The guest's call, to its end.
type Calling = JoinHandle<Result<(), HookFailure>>;

/// Ends a call that nobody waits for any more.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answer a request.
pub(super) fn handle(loaded: &Arc<Loaded>, request: HandlerRequest) -> Handling {
    let loaded = Arc::clone(loaded);
    Box::pin(async move {
        let (tell, told) = oneshot::channel();
        let mut calling = tokio::spawn(call(Arc::clone(&loaded), request, tell));
        let ends = Ends(calling.abort_handle());
        match told.await {
            Ok(Ok(response)) => answer(&loaded, response, calling, ends),
            Ok(Err(code)) => Err(failed(&loaded, format!("it answers with an error: {code:?}"))),
            Err(_unset) => match poll_fn(|cx| pin!(&mut calling).poll(cx)).await {
                Ok(Err(failure)) => Err(failure),
                Ok(Ok(())) => Err(failed(&loaded, "it returned without an answer".to_owned())),
                Err(_stopped) => Err(stopped(&loaded)),
            },
        }
    })
}

#[cold]
fn failed(loaded: &Loaded, detail: String) -> HookFailure {
    loaded.failed(Hook::Handler, loaded.guard.free(), Failure::answer(detail))
}

/// The worker is stopping.
fn stopped(loaded: &Loaded) -> HookFailure {
    loaded.hook_failure(Hook::Handler, HookFailureKind::Instantiate, "the proxy is stopping".to_owned())
}

/// Call the guest, in an instance of its own.
async fn call(loaded: Arc<Loaded>, request: HandlerRequest, tell: oneshot::Sender<Set>) -> Result<(), HookFailure> {
    let (_, pass) = loaded.enter(Hook::Handler)?;
    let _turn = loaded.turn(Hook::Handler).await?;
    // What imports `wasi:http` can wait; what does not has nothing to answer with.
    debug_assert!(loaded.shared.lane == Lane::Fiber, "a handler runs on a fiber");
    let mut live = match Live::make_async(&loaded.compiled, &loaded.shared).await {
        Ok(live) => live,
        Err(failure) => return Err(loaded.not_made(Hook::Handler, pass, failure)),
    };
    let limit = loaded.shared.limits.deadline;
    let worked = |since| loaded.shared.numbers.worked(loaded.seats.mine(), since);
    let called = computing(limit, clock::timed(worked, ask(&mut live, request, tell))).await;
    match called.unwrap_or(Err(Fault::Deadline)) {
        Ok(()) => {
            loaded.went_well(pass, loaded.seats.mine());
            Ok(())
        }
        Err(fault) => Err(loaded.failed(Hook::Handler, pass, live.failure(&fault))),
    }
}

async fn ask(live: &mut Live, request: HandlerRequest, tell: oneshot::Sender<Set>) -> Result<(), Fault> {
    let indices = GuestIndices::new(&live.instance.instance_pre(&live.store));
    let guest = indices.and_then(|indices| indices.load(&mut live.store, &live.instance));
    let guest = guest.map_err(|error| Fault::Shape(HANDLER.to_owned(), error))?;
    let HandlerRequest { view, method, scheme, authority, target, fields, body } = request;
    live.begin(Exchange { view, response: None, choice: None });
    let mut asked = http::Request::new(Asked::new(body));
    *asked.method_mut() = method;
    let uri = http::Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build();
    *asked.uri_mut() = uri.map_err(|error| Fault::Answer(format!("the request cannot be shown: {error}")))?;
    for (name, value) in fields.iter() {
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(name.as_bytes()), http::HeaderValue::from_bytes(value))
        {
            asked.headers_mut().append(name, value);
        }
    }
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let mut http = live.store.data_mut().http();
    let asked = http.new_incoming_request(scheme, asked)?;
    let out = http.new_response_outparam(tell)?;
    guest.call_handle(&mut live.store, asked, out).await?;
    Ok(())
}

/// The guest's answer, checked.
fn answer(
    loaded: &Arc<Loaded>,
    response: http::Response<HyperOutgoingBody>,
    calling: Calling,
    ends: Ends,
) -> Result<HandlerAnswer, HookFailure> {
    let (parts, body) = response.into_parts();
    let status: StatusCode = parts.status;
    if !(200..600).contains(&status.as_u16()) {
        return Err(failed(loaded, format!("{} is not a status from 200 to 599", status.as_u16())));
    }
    let mut fields = Fields::from(&parts.headers);
    let length = fields.get_str("content-length").and_then(|length| length.parse().ok());
    fields.retain(|name| std::str::from_utf8(name).is_ok_and(|name| !is_one_of(&FRAMING, name)));
    Ok(HandlerAnswer { status, fields, length, body: Box::new(Answered::new(body, calling, ends)) })
}

/// Run a call for at most `limit` of computing: what it waits for does not count, since clients and
/// peers may take their time with bodies. The route's timeouts watch over that.
async fn computing<F: Future>(limit: Duration, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    let mut spent = Duration::ZERO;
    poll_fn(move |cx| {
        let begun = Instant::now();
        if let Poll::Ready(output) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        spent += begun.elapsed();
        if spent >= limit { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
