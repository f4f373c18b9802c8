//! Bodies, for tests of the hooks `request-body` and `response-body`.

use super::{Request, Response, with, with_response};
use crate::bodies::{Changes, ChunkVerdict, EndVerdict, Wish};
use crate::{Edit, Field, Reply, RequestBody, ResponseBody};

/// What became of a message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It goes on.
    On {
        /// The body, with what plugins did to it.
        body: Vec<u8>,
        /// The edits of the head that go with it.
        edits: Vec<Edit>,
        /// The trailers, where the plugin gave some.
        trailers: Option<Vec<Field>>,
    },
    /// The client is given another answer.
    Reply(Reply),
    /// It broke off, for this reason.
    Aborted(String),
}

impl Sent {
    /// The body that goes on.
    pub fn body(&self) -> Option<&[u8]> {
        if let Self::On { body, .. } = self { Some(body) } else { None }
    }

    /// The answer in its place.
    pub fn reply(&self) -> Option<&Reply> {
        if let Self::Reply(reply) = self { Some(reply) } else { None }
    }

    /// The value that the head gets for a header by an edit.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let Self::On { edits, .. } = self else { return None };
        edits.iter().rfind(|edit| edit.name.eq_ignore_ascii_case(name)).map(|edit| edit.value.as_slice())
    }
}

/// The hook as functions, whichever it is.
trait Shown {
    fn whole(&mut self, body: Vec<u8>) -> Result<Changes, Reply>;
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict;
    fn end(&mut self) -> EndVerdict;
}

const EXCHANGE: u64 = 1;

macro_rules! shown {
    ($name:ident, $hook:ident) => {
        struct $name<'a, P>(&'a mut P);

        impl<P: $hook> Shown for $name<'_, P> {
            fn whole(&mut self, body: Vec<u8>) -> Result<Changes, Reply> {
                self.0.on_body(EXCHANGE, body, Vec::new())
            }

            fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict {
                self.0.on_chunk(EXCHANGE, data)
            }

            fn end(&mut self) -> EndVerdict {
                self.0.on_end(EXCHANGE, Vec::new())
            }
        }
    };
}

shown!(OfRequest, RequestBody);
shown!(OfResponse, ResponseBody);

/// What becomes of a request's body, which comes in one piece.
pub fn request_body<P: RequestBody>(plugin: &mut P, request: &Request, body: impl AsRef<[u8]>) -> Sent {
    request_pieces(plugin, request, &[body.as_ref()])
}

/// What becomes of a request's body that comes in these pieces.
pub fn request_pieces<P: RequestBody>(plugin: &mut P, request: &Request, pieces: &[&[u8]]) -> Sent {
    let wish = with(request, || plugin.open(EXCHANGE));
    let sent = with_whole(&wish, &mut OfRequest(plugin), pieces, |shown, body| with(request, || shown.whole(body)));
    if wish != Wish::None {
        plugin.close(EXCHANGE);
    }
    sent
}

/// What becomes of an answer's body, which comes in one piece.
pub fn response_body<P: ResponseBody>(
    plugin: &mut P,
    request: &Request,
    response: &Response,
    body: impl AsRef<[u8]>,
) -> Sent {
    response_pieces(plugin, request, response, &[body.as_ref()])
}

/// What becomes of an answer's body that comes in these pieces.
pub fn response_pieces<P: ResponseBody>(
    plugin: &mut P,
    request: &Request,
    response: &Response,
    pieces: &[&[u8]],
) -> Sent {
    let wish = with_response(request, response, || plugin.open(EXCHANGE));
    let whole = |shown: &mut OfResponse<'_, P>, body| with_response(request, response, || shown.whole(body));
    let sent = with_whole(&wish, &mut OfResponse(plugin), pieces, whole);
    if wish != Wish::None {
        plugin.close(EXCHANGE);
    }
    sent
}

fn with_whole<S: Shown>(
    wish: &Wish,
    shown: &mut S,
    pieces: &[&[u8]],
    whole: impl FnOnce(&mut S, Vec<u8>) -> Result<Changes, Reply>,
) -> Sent {
    match wish {
        Wish::None => Sent::On { body: pieces.concat(), edits: Vec::new(), trailers: None },
        Wish::Whole(_) => match whole(shown, pieces.concat()) {
            Ok(Changes { edits, body, trailers }) => {
                Sent::On { body: body.unwrap_or_else(|| pieces.concat()), edits, trailers }
            }
            Err(reply) => Sent::Reply(reply),
        },
        Wish::Chunks => in_pieces(shown, pieces),
    }
}

fn in_pieces(shown: &mut impl Shown, pieces: &[&[u8]]) -> Sent {
    let mut sent = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        match shown.chunk(piece.to_vec()) {
            ChunkVerdict::Pass => sent.extend_from_slice(piece),
            ChunkVerdict::Drop => {}
            ChunkVerdict::Replace(data) => sent.extend(data),
            ChunkVerdict::Reply(reply) => return Sent::Reply(reply),
            ChunkVerdict::Abort(why) => return Sent::Aborted(why),
        }
    }
    let trailers = match shown.end() {
        EndVerdict::Pass => None,
        EndVerdict::Append(data) => {
            sent.extend(data);
            None
        }
        EndVerdict::Finish((data, trailers)) => {
            sent.extend(data);
            Some(trailers)
        }
        EndVerdict::Reply(reply) => return Sent::Reply(reply),
        EndVerdict::Abort(why) => return Sent::Aborted(why),
    };
    Sent::On { body: sent, edits: Vec::new(), trailers }
}
