//! Hooks `request-body` and `response-body` in an instance.

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};

use crate::hook::{BodyChanges, BodyOf, BodyWish, ChunkVerdict, EndVerdict, LocalReply, WholeBody};
use crate::message::Fields;
use crate::plugin::abi::v0_1::bindings::tidegate::plugin::types::Field;
use crate::plugin::abi::v0_1::bodies as abi;
use crate::plugin::failure::Fault;
use crate::plugin::imports;
use crate::plugin::instance::{Ctx, Exchange, Live, absent};
use crate::plugin::lane;

/// A question about a body, which can wait.
pub(super) enum Question {
    /// A message with a body.
    Open(Exchange),
    /// All of it.
    Body(WholeBody),
    /// A piece.
    Chunk(Bytes),
    /// No more pieces, and what stood behind them.
    End(Vec<Field>),
    /// It is over.
    Close,
}

/// What is answered.
pub(super) enum Answer {
    Open(Option<BodyWish>),
    Body(Result<BodyChanges, LocalReply>),
    Chunk(ChunkVerdict),
    End(EndVerdict),
    Close,
}

/// Trailers as the guest sees them.
pub(super) fn trailers(fields: &Fields) -> Vec<Field> {
    imports::fields(fields)
}

/// How a call is made: like a function, or on a fiber.
macro_rules! ask {
    ($live:expr, $of:expr, $number:expr, $question:expr, $call:ident $(, $await:tt)?) => {{
        let live: &mut Live = $live;
        match $question {
            Question::Open(exchange) => {
                live.begin(exchange);
                let function = abi::open(&live.functions, $of).ok_or_else(absent)?;
                let raw = $call(&mut live.store, function, ($number,))$(.$await)?;
                live.let_go();
                let (raw,) = raw?;
                Ok(Answer::Open(abi::wish(raw)))
            }
            Question::Body(WholeBody { view, response, bytes, trailers: fields, room }) => {
                live.begin(Exchange { view, response, choice: None });
                let function = abi::on_body(&live.functions, $of).ok_or_else(absent)?;
                // What an answer may carry has to fit another body.
                let fuel = live.store.data().shared.limits.output;
                live.store.set_hostcall_fuel(fuel.saturating_add(room));
                let fields = trailers(&fields);
                let raw = $call(&mut live.store, function, ($number, &bytes[..], &fields[..]))$(.$await)?;
                live.store.set_hostcall_fuel(fuel);
                live.let_go();
                let (raw,) = raw?;
                Ok(Answer::Body(abi::changes(raw, room).map_err(Fault::Answer)?))
            }
            Question::Chunk(data) => {
                live.begin_bare($number);
                let function = abi::on_chunk(&live.functions, $of).ok_or_else(absent)?;
                let (raw,) = $call(&mut live.store, function, ($number, &data[..]))$(.$await)??;
                Ok(Answer::Chunk(abi::chunk_verdict(raw, $of).map_err(Fault::Answer)?))
            }
            Question::End(fields) => {
                live.begin_bare($number);
                let function = abi::on_end(&live.functions, $of).ok_or_else(absent)?;
                let (raw,) = $call(&mut live.store, function, ($number, &fields[..]))$(.$await)??;
                Ok(Answer::End(abi::end_verdict(raw, $of).map_err(Fault::Answer)?))
            }
            Question::Close => {
                live.begin_bare($number);
                let function = abi::close(&live.functions, $of).ok_or_else(absent)?;
                $call(&mut live.store, function, ($number,))$(.$await)??;
                Ok(Answer::Close)
            }
        }
    }};
}

impl Live {
    /// Ask in the sync lane.
    pub(super) fn ask_body(&mut self, of: BodyOf, number: u64, question: Question) -> Result<Answer, Fault> {
        ask!(self, of, number, question, call_now)
    }

    /// Ask in the fiber lane.
    pub(super) async fn ask_body_async(
        &mut self,
        of: BodyOf,
        number: u64,
        question: Question,
    ) -> Result<Answer, Fault> {
        ask!(self, of, number, question, call_waiting, await)
    }
}

fn call_now<P, R>(store: &mut Store<Ctx>, function: TypedFunc<P, R>, params: P) -> Result<R, Fault>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + 'static,
{
    Ok(function.call(store, params)?)
}

async fn call_waiting<P, R>(store: &mut Store<Ctx>, function: TypedFunc<P, R>, params: P) -> Result<R, Fault>
where
    P: ComponentNamedList + Lower + Send + Sync,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let ctx = store.data();
    let (limit, pauses) = (ctx.shared.limits.deadline, ctx.turn.pauses());
    let raw = lane::within(limit, &pauses, function.call_async(store, params)).await;
    Ok(raw.ok_or(Fault::Deadline)??)
}
