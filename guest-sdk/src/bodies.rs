//! The words of the hooks [`RequestBody`](crate::RequestBody) and [`ResponseBody`](crate::ResponseBody).

pub use crate::bindings::request_body::tidegate::plugin::bodies::{Changes, ChunkVerdict, EndVerdict, Wish};
use crate::{Edit, Field};

impl Wish {
    /// Whole, as far as the route's `bodies.max_size` allows.
    pub fn whole() -> Self {
        Self::Whole(0)
    }
}

impl Changes {
    /// The body that came, and the headers as they are.
    pub fn none() -> Self {
        Self { edits: Vec::new(), body: None, trailers: None }
    }

    /// Another body; Content-Length follows by itself.
    pub fn replacing(body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..Self::none() }
    }

    /// With one more edit of the headers.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// With these trailers, whatever came.
    #[must_use]
    pub fn trailers(self, trailers: impl Into<Vec<Field>>) -> Self {
        Self { trailers: Some(trailers.into()), ..self }
    }
}

impl ChunkVerdict {
    /// These bytes in the piece's place.
    pub fn replacing(data: impl Into<Vec<u8>>) -> Self {
        Self::Replace(data.into())
    }

    /// The body breaks off.
    pub fn aborting(why: impl Into<String>) -> Self {
        Self::Abort(why.into())
    }
}

impl EndVerdict {
    /// These bytes before the end: what was kept, say.
    pub fn appending(data: impl Into<Vec<u8>>) -> Self {
        Self::Append(data.into())
    }

    /// The body breaks off.
    pub fn aborting(why: impl Into<String>) -> Self {
        Self::Abort(why.into())
    }
}
