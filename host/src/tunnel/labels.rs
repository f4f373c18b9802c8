//! Who tunnels belong to, and how they are told to end when that is revoked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::registry::{Control, PARTS, Registry};
use crate::hook::{AccessTerms, Closing};
use crate::observe::seat;

/// Revocations that are remembered, for grants that are being made meanwhile.
const REMEMBERED: usize = 1024;

/// A name that a revocation may name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Label {
    /// The subject of a grant.
    Subject(Box<str>),
    /// One of its tags.
    Tag(Box<str>),
}

/// Tunnels, and handshakes that were granted one, by the labels of their grants.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// By label and the thread that bound them, so that workers do not meet; what a revocation
    /// costs is told to those alone that it is about.
    bound: DashMap<(Label, usize), HashMap<u64, Arc<Control>>>,
    /// How many revocations there have been.
    revoked: AtomicU64,
    recent: Mutex<VecDeque<(u64, Label, Closing)>>,
}

/// A tunnel, or a handshake that was granted one, bound to its labels until this is dropped.
#[derive(Debug)]
pub struct Bound {
    registry: Arc<Registry>,
    number: u64,
    part: usize,
    labels: Vec<Label>,
    control: Arc<Control>,
}

/// The labels of a grant.
fn labels(terms: &AccessTerms) -> Vec<Label> {
    let subject = terms.subject.iter().map(|name| Label::Subject(name.as_str().into()));
    subject.chain(terms.tags.iter().map(|tag| Label::Tag(tag.as_str().into()))).collect()
}

impl Registry {
    /// How many revocations there have been: to be noted before an authorizer is asked.
    pub fn revocations(&self) -> u64 {
        self.labels.revoked.load(Ordering::Acquire)
    }

    /// Bind a handshake to nothing yet.
    pub fn bind(self: &Arc<Self>) -> Bound {
        Bound {
            registry: Arc::clone(self),
            number: self.number(),
            part: seat() % PARTS,
            labels: Vec::new(),
            control: Arc::default(),
        }
    }

    /// Close every tunnel that has this label, and every handshake that was granted it or is being
    /// granted it now; how many. Those that are granted it later are not closed.
    pub fn revoke(&self, label: &Label, closing: &Closing) -> usize {
        {
            let mut recent = self.labels.recent.lock();
            let number = self.labels.revoked.load(Ordering::Relaxed) + 1;
            if recent.len() == REMEMBERED {
                recent.pop_front();
            }
            recent.push_back((number, label.clone(), closing.clone()));
            // Whoever is bound from here on looks there, and whoever was is found below.
            self.labels.revoked.store(number, Ordering::SeqCst);
        }
        let mut told = 0;
        for part in 0..PARTS {
            let Some(tunnels) = self.labels.bound.get(&(label.clone(), part)) else { continue };
            told += tunnels.values().filter(|control| control.revoke(closing)).count();
        }
        told
    }
}

impl Bound {
    /// It is bound by these terms, and to nothing else. `since` is [`Registry::revocations`] from
    /// before the grant was asked for: it ends if one of its labels was revoked after that.
    pub fn to(&mut self, terms: &AccessTerms, since: u64) {
        let labels = labels(terms);
        let index = &self.registry.labels;
        for label in labels.iter().filter(|label| !self.labels.contains(label)) {
            let place = (label.clone(), self.part);
            index.bound.entry(place).or_default().insert(self.number, Arc::clone(&self.control));
        }
        let before = std::mem::replace(&mut self.labels, labels);
        for label in before {
            if !self.labels.contains(&label) {
                self.leave(label);
            }
        }
        if index.revoked.load(Ordering::SeqCst) != since {
            self.look_back(since);
        }
    }

    /// Whether one of the labels was revoked since.
    #[cold]
    fn look_back(&self, since: u64) {
        let recent = self.registry.labels.recent.lock();
        // What is not remembered may have been about it.
        let forgotten = recent.front().is_none_or(|(first, ..)| *first > since + 1);
        if forgotten && !self.labels.is_empty() {
            self.control.revoke(&Closing { code: 1008, reason: String::new() });
        }
        let mine = recent.iter().find(|(number, label, _)| *number > since && self.labels.contains(label));
        if let Some((_, _, closing)) = mine {
            self.control.revoke(closing);
        }
    }

    /// Whether it was revoked.
    pub fn is_revoked(&self) -> bool {
        self.control.closing().is_some()
    }

    /// How it is told something.
    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Notes revocations as [`Registry::revocations`] does.
    pub(super) fn revocations(&self) -> u64 {
        self.registry.revocations()
    }

    fn leave(&self, label: Label) {
        if let dashmap::Entry::Occupied(mut tunnels) = self.registry.labels.bound.entry((label, self.part)) {
            tunnels.get_mut().remove(&self.number);
            if tunnels.get().is_empty() {
                tunnels.remove();
            }
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        for label in std::mem::take(&mut self.labels) {
            self.leave(label);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::tunnel::End;

    fn terms(subject: &str, tags: &[&str]) -> AccessTerms {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        AccessTerms { subject: Some(subject.to_owned()), tags, ..AccessTerms::default() }
    }

    fn closing(reason: &str) -> Closing {
        Closing { code: 4001, reason: reason.to_owned() }
    }

    fn bound(registry: &Arc<Registry>, subject: &str, tags: &[&str]) -> Bound {
        let mut bound = registry.bind();
        bound.to(&terms(subject, tags), registry.revocations());
        bound
    }

    #[test]
    fn only_those_are_told_that_have_the_label_and_nothing_is_left_of_them() {
        let registry = Arc::new(Registry::default());
        let all = [("ann", &["a", "b"][..]), ("bob", &["b"]), ("a", &[])];
        let all = all.map(|(subject, tags)| bound(&registry, subject, tags));
        assert_eq!(registry.revoke(&Label::Tag("a".into()), &closing("tag")), 1, "a subject is no tag");
        assert_eq!(registry.revoke(&Label::Tag("b".into()), &closing("later")), 1, "ann's is told already");
        assert_eq!(registry.revoke(&Label::Subject("nobody".into()), &closing("")), 0);
        let reasons: Vec<_> = all.iter().map(|b| b.control.closing().map(|c| c.reason.as_str())).collect();
        assert_eq!(reasons, [Some("tag"), Some("later"), None]);
        assert_eq!(all[0].control.told_end(), Some(End::Revoked));
        drop(all);
        assert!(registry.labels.bound.is_empty());
    }

    #[test]
    fn another_grant_takes_the_place_of_the_first() {
        let registry = Arc::new(Registry::default());
        let mut one = bound(&registry, "ann", &["a", "b"]);
        one.to(&terms("ann", &["b", "c"]), registry.revocations());
        assert_eq!(registry.revoke(&Label::Tag("a".into()), &closing("")), 0);
        assert_eq!(registry.revoke(&Label::Tag("c".into()), &closing("")), 1);
    }

    #[test]
    fn what_is_revoked_while_it_is_granted_is_revoked() {
        let registry = Arc::new(Registry::default());
        let since = registry.revocations();
        // The authorizer is thinking.
        registry.revoke(&Label::Subject("bob".into()), &closing("another"));
        let mut one = registry.bind();
        one.to(&terms("ann", &[]), since);
        assert!(!one.is_revoked());
        registry.revoke(&Label::Subject("cid".into()), &closing("mine"));
        let mut other = registry.bind();
        other.to(&terms("cid", &[]), since);
        assert_eq!(other.control.closing(), Some(&closing("mine")));
        // A grant that was asked for later is another matter.
        assert!(!bound(&registry, "cid", &[]).is_revoked());
        for n in 0..=REMEMBERED {
            registry.revoke(&Label::Tag(n.to_string().into()), &closing(""));
        }
        let mut late = registry.bind();
        late.to(&terms("dan", &[]), since);
        assert!(late.is_revoked(), "it may have been revoked: who knows");
        assert_eq!(registry.labels.recent.lock().len(), REMEMBERED);
    }

    /// Each grant that was begun before the revocation is told, whatever the two threads do.
    #[test]
    fn no_grant_slips_through() {
        for _ in 0..200 {
            let registry = Arc::new(Registry::default());
            let (label, revoked) = (Label::Subject("ann".into()), AtomicBool::new(false));
            let held: Vec<(bool, Bound)> = std::thread::scope(|scope| {
                let granting = scope.spawn(|| {
                    let mut held = Vec::new();
                    while held.len() < 50 {
                        let since = registry.revocations();
                        // What is begun after the revocation has returned may live.
                        let may_live = revoked.load(Ordering::SeqCst) || since > 0;
                        let mut one = registry.bind();
                        one.to(&terms("ann", &[]), since);
                        held.push((may_live, one));
                    }
                    held
                });
                registry.revoke(&label, &closing(""));
                revoked.store(true, Ordering::SeqCst);
                granting.join().unwrap()
            });
            assert!(held.iter().all(|(may_live, one)| *may_live || one.is_revoked()));
        }
    }
}
