//! Messages that plugins have changed, or are still asked about.

use std::future::Future;
use std::pin::Pin;

use crate::hook::{Closing, Content, HookFailure, Judgement, Session, Way};

/// An answer that is waited for.
pub(super) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, HookFailure>> + Send>>;
/// What opening a tunnel anew comes to.
pub(super) type Reopened = Option<Box<dyn Session>>;

/// Work that is not done yet.
pub(super) struct Task {
    pub(super) is_packed: bool,
    pub(super) packed: Vec<u8>,
    pub(super) is_part: bool,
    /// What is to be asked about, the next at the end.
    pub(super) stack: Vec<Item>,
    /// What is waited for.
    pub(super) call: Option<Waits>,
    pub(super) own: usize,
}

pub(super) enum Waits {
    Judgement(Answer<Judgement>),
    Reopened(Answer<Reopened>),
}

/// One message on its way through the plugins.
pub(super) struct Item {
    pub(super) way: Way,
    pub(super) content: Content,
    pub(super) data: Vec<u8>,
    pub(super) length: Option<u64>,
    /// How many plugins it has passed.
    pub(super) passed: usize,
    /// Whether it is the one that came.
    pub(super) came: bool,
    /// Whether it is another than it was.
    pub(super) changed: bool,
}

/// What comes of a task.
pub(super) enum Outcome {
    /// This goes on.
    Send(Sent),
    /// The message that came does not go on.
    Dropped(Way, Came),
    /// The tunnel ends, because a plugin says so.
    Close(Closing),
    /// The tunnel ends, because a plugin failed.
    Failed,
}

/// A message that passed all plugins.
pub(super) struct Sent {
    pub(super) way: Way,
    pub(super) content: Content,
    pub(super) data: Vec<u8>,
    /// Where it is the one that came: how.
    pub(super) came: Option<Came>,
    pub(super) changed: bool,
}

/// How a message came.
pub(super) struct Came {
    /// Its payload as it was compressed; none where it was not.
    pub(super) packed: Option<Vec<u8>>,
    /// Whether its rest is still to come.
    pub(super) is_part: bool,
}

impl Task {
    /// How the message came; to be asked once.
    pub(super) fn came(&mut self) -> Came {
        debug_assert!(!self.is_part || !self.is_packed, "a compressed message is shown whole");
        let packed = self.is_packed.then(|| std::mem::take(&mut self.packed));
        Came { packed, is_part: self.is_part }
    }
}
