//! Handlers of WASI 0.2: one call that sets its answer on the way.

use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::exports::wasi::http::incoming_handler::GuestIndices;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use super::Set;
use super::body::Asked;
use crate::plugin::abi::v0_1::HANDLER;
use crate::plugin::failure::Fault;
use crate::plugin::instance::Live;

/// Call the guest, to the end of its call.
pub(super) async fn ask(live: &mut Live, asked: http::Request<Asked>, tell: oneshot::Sender<Set>) -> Result<(), Fault> {
    let indices = GuestIndices::new(&live.instance.instance_pre(&live.store));
    let guest = indices.and_then(|indices| indices.load(&mut live.store, &live.instance));
    let guest = guest.map_err(|error| Fault::Shape(HANDLER.to_owned(), error))?;
    let scheme = if asked.uri().scheme() == Some(&http::uri::Scheme::HTTPS) { Scheme::Https } else { Scheme::Http };
    let mut http = live.store.data_mut().http();
    let asked = http.new_incoming_request(scheme, asked)?;
    let out = http.new_response_outparam_from_callback(move |set| {
        // Nobody listens where the client has gone.
        let _gone = tell.send(set.map_err(|code| format!("{code:?}")));
    })?;
    guest.call_handle(&mut live.store, asked, out).await?;
    Ok(())
}
