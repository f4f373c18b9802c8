//! Hooks `request-body` and `response-body` between the guest's values and the core's.

use wasmtime::component::TypedFunc;

use super::bindings::tidegate::plugin::{bodies as wit, types};
use super::convert;
use super::hooks::Functions;
use crate::hook::{BodyChanges, BodyOf, BodyStop, BodyWish, ChunkVerdict, EndVerdict, FRAMING, LocalReply, is_one_of};
use crate::message::Fields;

type Checked<T> = Result<T, String>;

/// `open`.
type Open = TypedFunc<(u64,), (wit::Wish,)>;
/// `on-body`.
type OnBody<'a> = TypedFunc<(u64, &'a [u8], &'a [types::Field]), (RawChanges,)>;
/// `on-chunk`.
type OnChunk<'a> = TypedFunc<(u64, &'a [u8]), (wit::ChunkVerdict,)>;
/// `on-end`.
type OnEnd<'a> = TypedFunc<(u64, &'a [types::Field]), (wit::EndVerdict,)>;
/// `close`.
type Close = TypedFunc<(u64,), ()>;
/// What `on-body` answers.
pub(in crate::plugin) type RawChanges = Result<wit::Changes, types::LocalReply>;

/// The functions of one of the two hooks in one instance: they have the same types in both.
macro_rules! function {
    ($name:ident $(<$life:lifetime>)?, $get:ident, $type:ty) => {
        pub(in crate::plugin) fn $name$(<$life>)?(functions: &$($life)? Functions, of: BodyOf) -> Option<$type> {
            match of {
                BodyOf::Request => functions.request_body().map(|guest| guest.$get()),
                BodyOf::Response => functions.response_body().map(|guest| guest.$get()),
            }
        }
    };
}

function!(open, func_open, Open);
function!(on_body<'a>, func_on_body, OnBody<'a>);
function!(on_chunk<'a>, func_on_chunk, OnChunk<'a>);
function!(on_end<'a>, func_on_end, OnEnd<'a>);
function!(close, func_close, Close);

/// What `open` answered; none where it does not want to see the body.
pub(in crate::plugin) fn wish(raw: wit::Wish) -> Option<BodyWish> {
    match raw {
        wit::Wish::None => None,
        wit::Wish::Whole(most) => Some(BodyWish::Whole(Some(most).filter(|most| *most > 0))),
        wit::Wish::Chunks => Some(BodyWish::Chunks),
    }
}

/// What `on-body` answered, where another body may have so many bytes.
///
/// # Errors
/// Which rule of the contract it breaks.
pub(in crate::plugin) fn changes(raw: RawChanges, room: usize) -> Checked<Result<BodyChanges, LocalReply>> {
    let raw = match raw {
        Ok(raw) => raw,
        Err(raw) => return convert::reply(raw).map(Err),
    };
    if let Some(body) = raw.body.as_ref().filter(|body| body.len() > room) {
        return Err(format!("another body of {} bytes, and it may have {room}", body.len()));
    }
    Ok(Ok(BodyChanges {
        edits: convert::edits(raw.edits)?,
        body: raw.body.map(Into::into),
        trailers: raw.trailers.map(trailers).transpose()?,
    }))
}

/// What `on-chunk` answered.
///
/// # Errors
/// Which rule of the contract it breaks.
pub(in crate::plugin) fn chunk_verdict(raw: wit::ChunkVerdict, of: BodyOf) -> Checked<ChunkVerdict> {
    Ok(match raw {
        wit::ChunkVerdict::Pass => ChunkVerdict::Pass,
        wit::ChunkVerdict::Drop => ChunkVerdict::Replace(bytes::Bytes::new()),
        wit::ChunkVerdict::Replace(data) => ChunkVerdict::Replace(data.into()),
        wit::ChunkVerdict::Reply(raw) => ChunkVerdict::Stop(reply(raw, of)?),
        wit::ChunkVerdict::Abort(why) => ChunkVerdict::Stop(BodyStop::Abort(why)),
    })
}

/// What `on-end` answered.
///
/// # Errors
/// Which rule of the contract it breaks.
pub(in crate::plugin) fn end_verdict(raw: wit::EndVerdict, of: BodyOf) -> Checked<EndVerdict> {
    Ok(match raw {
        wit::EndVerdict::Pass => EndVerdict::End(bytes::Bytes::new(), None),
        wit::EndVerdict::Append(data) => EndVerdict::End(data.into(), None),
        wit::EndVerdict::Finish((data, raw)) => EndVerdict::End(data.into(), Some(trailers(raw)?)),
        wit::EndVerdict::Reply(raw) => EndVerdict::Stop(reply(raw, of)?),
        wit::EndVerdict::Abort(why) => EndVerdict::Stop(BodyStop::Abort(why)),
    })
}

fn reply(raw: types::LocalReply, of: BodyOf) -> Checked<BodyStop> {
    match of {
        BodyOf::Request => Ok(BodyStop::Reply(convert::reply(raw)?)),
        BodyOf::Response => Err("the head of the answer has gone: there can be no other answer".to_owned()),
    }
}

/// Trailers of the guest's. Framing does not belong there (RFC 9110 §6.5.1).
fn trailers(raw: Vec<types::Field>) -> Checked<Fields> {
    let mut fields = Fields::new();
    for field in raw {
        let (name, value) = convert::field(field)?;
        if is_one_of(&FRAMING, name.as_str()) || name.as_str().eq_ignore_ascii_case("host") {
            return Err(format!("`{name}` cannot be a trailer"));
        }
        fields.append(name.as_str(), value.as_bytes());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> types::Field {
        types::Field { name: name.into(), value: b"1".to_vec() }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let large = wit::Changes { edits: Vec::new(), body: Some(vec![0; 9]), trailers: None };
        assert!(changes(Ok(large.clone()), 8).unwrap_err().contains("9 bytes"));
        assert!(changes(Ok(large), 9).is_ok());
        for name in ["content-length", "Transfer-Encoding", "trailer", "host", "a b"] {
            let raw = wit::Changes { edits: Vec::new(), body: None, trailers: Some(vec![field(name)]) };
            assert!(changes(Ok(raw), 0).is_err(), "{name}");
            assert!(end_verdict(wit::EndVerdict::Finish((Vec::new(), vec![field(name)])), BodyOf::Request).is_err());
        }
        let reply = types::LocalReply { status: 403, fields: Vec::new(), body: Vec::new() };
        let of = |of| chunk_verdict(wit::ChunkVerdict::Reply(reply.clone()), of);
        assert!(matches!(of(BodyOf::Request), Ok(ChunkVerdict::Stop(BodyStop::Reply(_)))));
        assert!(of(BodyOf::Response).unwrap_err().contains("has gone"));
    }

    #[test]
    fn zero_is_as_many_as_the_route_allows() {
        assert_eq!(wish(wit::Wish::Whole(0)), Some(BodyWish::Whole(None)));
        assert_eq!(wish(wit::Wish::Whole(7)), Some(BodyWish::Whole(Some(7))));
        assert_eq!(wish(wit::Wish::None), None);
    }
}
