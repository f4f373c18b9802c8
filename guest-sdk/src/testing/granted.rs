//! What a grant bound a tunnel to, for tests of hook `authorizer`.

use std::time::Duration;

/// What [`crate::access`] was told in a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// [`crate::access::subject`]
    pub subject: Option<String>,
    /// [`crate::access::tag`], in order, each once.
    pub tags: Vec<String>,
    /// [`crate::access::expires_at`], since 1970.
    pub expires_at: Option<Duration>,
    /// [`crate::access::max_lifetime`]
    pub max_lifetime: Option<Duration>,
    /// [`crate::access::max_message`]
    pub max_message: Option<u64>,
}

/// Bytes of a subject or tag.
const LONGEST_LABEL: usize = 256;
/// Tags of one grant.
const MOST_TAGS: usize = 32;

impl Access {
    pub(super) fn tag(&mut self, name: &str) {
        if !self.tags.iter().any(|tag| tag == name) {
            self.tags.push(label(name));
            assert!(self.tags.len() <= MOST_TAGS, "the host fails this call: a grant has at most {MOST_TAGS} tags");
        }
    }
}

/// A name that the host takes.
pub(super) fn label(name: &str) -> String {
    let good = (1..=LONGEST_LABEL).contains(&name.len()) && !name.chars().any(char::is_control);
    assert!(good, "the host fails this call: {name:?} has not 1 to {LONGEST_LABEL} bytes, or control characters");
    name.to_owned()
}

/// The lesser of two, where none is no limit.
pub(super) fn least<T: Ord>(held: &mut Option<T>, other: T) {
    *held = Some(match held.take() {
        Some(held) => held.min(other),
        None => other,
    });
}
