//! What hook `messages` is asked and answers, and what hook `tunnel` is told.

use std::task::Waker;

use super::{Call, OnFailure};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Up,
    /// From the upstream.
    Down,
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// Kinds of messages, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest(u8);

impl Interest {
    /// The set with one more kind in it.
    #[must_use]
    pub fn with(self, way: Way, content: Content) -> Self {
        Self(self.0 | Self::bit(way, content))
    }

    /// Whether the kind is in the set.
    pub fn has(self, way: Way, content: Content) -> bool {
        self.0 & Self::bit(way, content) != 0
    }

    /// The kinds that are in one of both sets.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no kind is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(way: Way, content: Content) -> u8 {
        1 << (2 * u8::from(way == Way::Down) + u8::from(content == Content::Binary))
    }
}

/// What a plugin wants to see of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Which messages.
    pub interest: Interest,
    /// Only so many bytes of each; none for all.
    pub first: Option<usize>,
}

/// A message for a plugin.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Which way it goes.
    pub way: Way,
    /// What it carries.
    pub content: Content,
    /// Its length; none while a part of it is still to come.
    pub length: Option<u64>,
    /// As much of it as the plugin asked for.
    pub data: &'a [u8],
}

/// A message of a plugin's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Which way it goes.
    pub way: Way,
    /// What it carries.
    pub content: Content,
    /// Its bytes; UTF-8 where it is text.
    pub data: Vec<u8>,
}

/// What a close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// A code that may be on the wire (RFC 6455 §7.4).
    pub code: u16,
    /// At most 123 bytes.
    pub reason: String,
}

/// Whether a close frame may have this code on the wire (RFC 6455 §7.4, and what IANA has added).
pub fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The answer about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It goes on as it is.
    Pass,
    /// It does not go on.
    Drop,
    /// This goes on in its place.
    Replace(Vec<u8>),
    /// These are sent first; with `pass` the message itself after them.
    Inject {
        /// In this order.
        messages: Vec<Outgoing>,
        /// Whether the message goes on.
        pass: bool,
    },
    /// The tunnel ends.
    Close(Closing),
}

/// How a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It can be asked.
    Good,
    /// Its instance failed, for this tunnel or another: what it knew is lost.
    Failed,
    /// A newer version of the plugin is in use, to which tunnels are to move.
    Replaced,
}

/// One plugin's part in one tunnel, from `open` until this is dropped, which tells the plugin.
pub trait Session: Send {
    /// The plugin's name.
    fn plugin(&self) -> &str;
    /// What a failure means: the tunnel is closed with 1011, or goes on.
    fn on_failure(&self) -> OnFailure;
    /// What it wants to see.
    fn subscription(&self) -> Subscription;
    /// Ask about a message. The answer may borrow nothing: a plugin that waits copies it.
    fn on_message(&mut self, message: &Message<'_>) -> Call<Judgement>;
    /// Whether it still has its instance. A look, without a lock.
    fn state(&self) -> SessionState;
    /// Wake this once its instance has failed. To be called once.
    fn wake_when_failed(&mut self, waker: &Waker);
    /// Open it anew in another instance; none where the plugin does not want to look any more.
    fn reopen(&self) -> Call<Option<Box<dyn Session>>>;
}

/// The sessions of a tunnel, in the order of its plugins.
pub type Sessions = Vec<Box<dyn Session>>;

/// So much each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// From the client to the upstream.
    pub up: u64,
    /// From the upstream to the client.
    pub down: u64,
}

/// How a tunnel went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelSummary {
    /// The stable code of its end.
    pub cause: &'static str,
    /// The code of the close frame that ended it, where one was seen.
    pub close_code: Option<u16>,
    /// From the switch to the end, µs.
    pub duration_us: u64,
    /// Bytes that were delivered.
    pub bytes: Counts,
    /// Messages that were delivered; none where nobody looked into the tunnel.
    pub messages: Option<Counts>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_kept_apart() {
        let kinds = [
            (Way::Up, Content::Text),
            (Way::Up, Content::Binary),
            (Way::Down, Content::Text),
            (Way::Down, Content::Binary),
        ];
        for (way, content) in kinds {
            let one = Interest::default().with(way, content);
            let had: Vec<_> = kinds.iter().filter(|(way, content)| one.has(*way, *content)).collect();
            assert_eq!(had, [&(way, content)]);
        }
        assert!(Interest::default().is_empty());
    }
}
