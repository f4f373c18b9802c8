//! The words of the hooks [`Messages`](crate::Messages) and [`Tunnel`](crate::Tunnel).

pub use crate::bindings::messages::exports::tidegate::plugin::messages::{
    Closing, Injection, Interest, Message, Outgoing, Subscription, Verdict, Way,
};
pub use crate::bindings::tunnel::exports::tidegate::plugin::tunnel::{Counts, Summary};

impl Subscription {
    /// Every message, both ways.
    pub fn all() -> Self {
        Self { interest: Interest::all(), first: None }
    }

    /// What clients send.
    pub fn to_upstream() -> Self {
        Self { interest: Interest::TEXT_TO_UPSTREAM | Interest::BINARY_TO_UPSTREAM, first: None }
    }

    /// What the upstream sends.
    pub fn to_client() -> Self {
        Self { interest: Interest::TEXT_TO_CLIENT | Interest::BINARY_TO_CLIENT, first: None }
    }

    /// Text, both ways.
    pub fn text() -> Self {
        Self { interest: Interest::TEXT_TO_UPSTREAM | Interest::TEXT_TO_CLIENT, first: None }
    }

    /// Only so many bytes from the beginning of each message.
    #[must_use]
    pub fn first(self, bytes: u32) -> Self {
        Self { first: Some(bytes), ..self }
    }

    /// Whether it asks for such messages.
    pub fn wants(&self, way: Way, text: bool) -> bool {
        self.interest.contains(match (way, text) {
            (Way::ToUpstream, true) => Interest::TEXT_TO_UPSTREAM,
            (Way::ToUpstream, false) => Interest::BINARY_TO_UPSTREAM,
            (Way::ToClient, true) => Interest::TEXT_TO_CLIENT,
            (Way::ToClient, false) => Interest::BINARY_TO_CLIENT,
        })
    }
}

impl Outgoing {
    /// A text message.
    pub fn text(way: Way, text: impl Into<String>) -> Self {
        Self { way, text: true, data: text.into().into_bytes() }
    }

    /// A binary message.
    pub fn binary(way: Way, data: impl Into<Vec<u8>>) -> Self {
        Self { way, text: false, data: data.into() }
    }
}

impl Verdict {
    /// Another text in the message's place.
    pub fn replacing(data: impl Into<Vec<u8>>) -> Self {
        Self::Replace(data.into())
    }

    /// These messages, then the message itself.
    pub fn before_it(messages: impl Into<Vec<Outgoing>>) -> Self {
        Self::Inject(Injection { messages: messages.into(), pass: true })
    }

    /// These messages in its place.
    pub fn in_its_place(messages: impl Into<Vec<Outgoing>>) -> Self {
        Self::Inject(Injection { messages: messages.into(), pass: false })
    }

    /// The tunnel ends with this code for both sides.
    pub fn closing(code: u16, reason: impl Into<String>) -> Self {
        Self::Close(Closing { code, reason: reason.into() })
    }
}
