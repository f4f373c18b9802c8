//! What plugins may import, one file for each interface of `wit/v0.1`.

mod access;
mod clock;
mod config;
mod http_client;
mod kv;
mod log;
mod metrics;
mod outgoing;
mod peers;
mod request;
mod response;
mod secrets;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

pub(super) use access::Said;
pub(super) use outgoing::Outgoing;

use super::abi::v0_1::bindings::tidegate::plugin as wit;
use super::instance::Ctx;

/// The interfaces of ours that can be imported, besides `types`.
pub(super) const SERVICES: [&str; 11] =
    ["request", "response", "log", "config", "clock", "metrics", "http-client", "peers", "access", "kv", "secrets"];

/// Linkers that offer everything: ours, and WASI 0.2 with nothing granted.
pub(super) struct Linkers {
    /// Stores answer at once.
    ready: Linker<Ctx>,
    /// A store may make the guest wait.
    waiting: Linker<Ctx>,
}

impl Linkers {
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut waiting = linker(engine)?;
        let mut ready = waiting.clone();
        kv::add_ready(&mut ready)?;
        wit::kv::add_to_linker::<_, HasSelf<Ctx>>(&mut waiting, Ctx::called)?;
        Ok(Self { ready, waiting })
    }

    /// The one for a plugin whose stores may make it wait, or not.
    pub(super) fn of(&self, kv_waits: bool) -> &Linker<Ctx> {
        if kv_waits { &self.waiting } else { &self.ready }
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Ctx>> {
    let mut linker = Linker::new(engine);
    wit::types::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::bodies::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::request::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::response::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::log::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::config::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::clock::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::metrics::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::http_client::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::peers::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::access::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wit::secrets::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, Ctx::called)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

impl wit::types::Host for Ctx {}
impl wit::bodies::Host for Ctx {}

/// Header lines as the guest sees them.
pub(super) fn fields(headers: &crate::message::Fields) -> Vec<wit::types::Field> {
    let field =
        |(name, value): (&str, &[u8])| wit::types::Field { name: name.to_ascii_lowercase(), value: value.to_vec() };
    headers.iter().map(field).collect()
}
