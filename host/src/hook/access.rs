//! What an authorizer's grant binds a tunnel to.

use std::time::{Duration, SystemTime};

/// Bytes of a subject or tag.
pub const LONGEST_LABEL: usize = 256;
/// Tags of one grant.
pub const MOST_TAGS: usize = 32;

/// What a grant binds a tunnel to. All of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessTerms {
    /// Who it is; at most [`LONGEST_LABEL`] bytes, and not empty.
    pub subject: Option<String>,
    /// What a revocation may name besides; at most [`MOST_TAGS`], each as a subject and once.
    pub tags: Vec<String>,
    /// When the grant ends.
    pub expires: Option<SystemTime>,
    /// How long the tunnel may be open.
    pub lifetime: Option<Duration>,
    /// How long a message of the client may be, bytes on the wire.
    pub max_message: Option<u64>,
}

impl AccessTerms {
    /// Whether it binds to nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What holds where both hold: the stricter of times and sizes, the tags of both, and the
    /// subject that was said last.
    pub fn join(&mut self, other: &Self) {
        if other.subject.is_some() {
            self.subject.clone_from(&other.subject);
        }
        for tag in &other.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        self.expires = least(self.expires, other.expires);
        self.lifetime = least(self.lifetime, other.lifetime);
        self.max_message = least(self.max_message, other.max_message);
    }
}

/// The lesser of two, where none is no limit.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_the_stricter_holds() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let mut terms = AccessTerms { expires: at(9), tags: vec!["a".into()], ..AccessTerms::default() };
        terms.join(&AccessTerms {
            subject: Some("ann".into()),
            tags: vec!["b".into(), "a".into()],
            expires: at(7),
            lifetime: Some(Duration::from_secs(1)),
            max_message: Some(5),
        });
        terms.join(&AccessTerms { expires: at(8), max_message: Some(6), ..AccessTerms::default() });
        assert_eq!(terms.subject.as_deref(), Some("ann"));
        assert_eq!(terms.tags, ["a", "b"]);
        assert_eq!((terms.expires, terms.lifetime, terms.max_message), (at(7), Some(Duration::from_secs(1)), Some(5)));
        assert!(!terms.is_empty() && AccessTerms::default().is_empty());
    }
}
