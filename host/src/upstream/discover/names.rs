//! What is known of names: shared by all upstreams that have them, and kept over reloads.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::Found;
use super::ask::{self, Failure};
use crate::config::{Question, Resolve, Resolver};
use crate::observe::Count;

/// The longest that a question waits after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is known of every name that someone uses.
#[derive(Debug, Default)]
pub struct Names {
    all: Mutex<HashMap<Key, Weak<Entry>>>,
}

/// What makes two names the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    question: Question,
    /// Those that are asked once do not follow the others.
    is_once: bool,
    settings: Arc<Resolver>,
}

impl Names {
    /// What is known of a name, or where it will be noted.
    pub(super) fn of(&self, question: &Question, resolve: Resolve, settings: &Arc<Resolver>) -> Arc<Entry> {
        let key = Key { question: question.clone(), is_once: resolve == Resolve::Once, settings: Arc::clone(settings) };
        let mut all = self.all.lock();
        if let Some(entry) = all.get(&key).and_then(Weak::upgrade) {
            return entry;
        }
        all.retain(|_, entry| entry.strong_count() > 0);
        let entry = Arc::new(Entry::new(question.clone(), Arc::clone(settings)));
        all.insert(key, Arc::downgrade(&entry));
        entry
    }
}

/// What is known of one name.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) question: Question,
    settings: Arc<Resolver>,
    state: Mutex<State>,
    /// Held by who asks, so that nobody else does at the same time.
    asking: tokio::sync::Mutex<()>,
    /// Answers.
    pub(super) answers: Count,
    /// Questions that had none.
    pub(super) failures: Count,
}

/// The addresses of a name at one time.
pub(super) type Addresses = Arc<[Found]>;

#[derive(Debug, Default, Clone)]
pub(super) struct State {
    /// The last good answer; none until there is one.
    pub(super) addresses: Option<Addresses>,
    /// When it came.
    pub(super) resolved_at: Option<SystemTime>,
    /// When to ask again; none for now.
    pub(super) next: Option<Instant>,
    /// The last failure and when it was; forgotten with the next answer.
    pub(super) error: Option<(Failure, SystemTime)>,
    /// Failures since the last answer.
    failed: u32,
}

impl Entry {
    fn new(question: Question, settings: Arc<Resolver>) -> Self {
        Self {
            question,
            settings,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            answers: Count::default(),
            failures: Count::default(),
        }
    }

    /// What is known now.
    pub(super) fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// The last good answer.
    pub(super) fn addresses(&self) -> Option<Addresses> {
        self.state.lock().addresses.clone()
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Instant {
        self.state.lock().next.unwrap_or_else(Instant::now)
    }

    /// Ask, if it is time.
    pub(super) async fn ask(&self) {
        let _alone = self.asking.lock().await;
        if self.next() > Instant::now() {
            return;
        }
        let before = self.addresses().unwrap_or_default();
        let asked = ask::ask(&self.question, &self.settings, &before).await;
        let (found, missing) = match asked {
            Ok(answer) => (Some((answer.found, answer.ttl)), answer.missing),
            Err(failure) => (None, Some(failure)),
        };
        self.note(found, missing);
    }

    /// Note an answer or a failure, or an answer that is not whole.
    fn note(&self, found: Option<(Vec<Found>, Duration)>, failure: Option<Failure>) {
        let mut state = self.state.lock();
        let (now, question) = (SystemTime::now(), &self.question);
        let mut wait = Duration::ZERO;
        if let Some((found, ttl)) = found {
            // An equal answer stays the same one, so that nobody acts on it.
            if state.addresses.as_deref() != Some(&found) {
                state.addresses = Some(found.into());
            }
            state.resolved_at = Some(now);
            wait = self.settings.valid.unwrap_or_else(|| ttl.clamp(self.settings.min_ttl, self.settings.max_ttl));
            self.answers.add(1);
        }
        match failure {
            Some(failure) => {
                self.failures.add(1);
                state.failed = state.failed.saturating_add(1);
                wait = back_off(self.settings.min_ttl, state.failed);
                if state.failed == 1 {
                    let kept =
                        if state.addresses.is_some() { "what is known stays in use" } else { "nothing is known yet" };
                    tracing::warn!(name = %question, %failure, "cannot resolve a name; {kept}");
                } else {
                    tracing::debug!(name = %question, %failure, times = state.failed, "still cannot resolve a name");
                }
                state.error = Some((failure, now));
            }
            None => {
                if std::mem::take(&mut state.failed) > 0 {
                    tracing::info!(name = %question, "a name is resolved again");
                }
                state.error = None;
            }
        }
        state.next = Instant::now().checked_add(wait);
    }
}

/// How long to wait after so many failures in a row: twice as long each time.
fn back_off(least: Duration, failed: u32) -> Duration {
    let doubled = least.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_WAIT.max(least))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn settings(valid: Option<u64>) -> Arc<Resolver> {
        Arc::new(Resolver {
            addresses: Vec::new(),
            valid: valid.map(Duration::from_secs),
            timeout: Duration::from_secs(1),
            ipv6: None,
            min_ttl: Duration::from_secs(2),
            max_ttl: Duration::from_secs(100),
        })
    }

    fn entry(valid: Option<u64>) -> Entry {
        Entry::new(Question::Host("a.test".into()), settings(valid))
    }

    fn at(ip: &str) -> Vec<Found> {
        let ip: IpAddr = ip.parse().unwrap();
        vec![Found { host: "a.test".into(), ip, port: 0, priority: 0, weight: 1 }]
    }

    /// The wait until the next question, in whole seconds.
    fn wait(entry: &Entry) -> u64 {
        (entry.next() - Instant::now()).as_millis().div_ceil(1000).try_into().unwrap()
    }

    const FAILED: Failure = Failure::Nothing("nothing");

    #[test]
    fn an_answer_is_used_within_the_bounds() {
        for (valid, ttl, expected) in [(None, 50, 50), (None, 0, 2), (None, 5000, 100), (Some(7), 50, 7)] {
            let entry = entry(valid);
            entry.note(Some((at("10.0.0.1"), Duration::from_secs(ttl))), None);
            assert_eq!(wait(&entry), expected);
        }
    }

    #[test]
    fn failures_keep_the_last_answer_and_wait_longer_each_time() {
        let entry = entry(None);
        entry.note(Some((at("10.0.0.1"), Duration::from_secs(50))), None);
        let known = entry.addresses();
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                entry.note(None, Some(FAILED));
                wait(&entry)
            })
            .collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(entry.addresses(), known);
        assert_eq!(entry.state().error.map(|(failure, _)| failure), Some(FAILED));
        entry.note(Some((at("10.0.0.1"), Duration::from_secs(50))), None);
        assert!(Arc::ptr_eq(&entry.addresses().unwrap(), &known.unwrap()), "an equal answer changes nothing");
        assert_eq!((wait(&entry), entry.state().error), (50, None));
        entry.note(None, Some(FAILED));
        assert_eq!(wait(&entry), 2, "counted anew");
        assert_eq!((entry.answers.get(), entry.failures.get()), (2, 8));
    }

    #[test]
    fn a_part_of_an_answer_is_used_and_asked_for_again_soon() {
        let entry = entry(None);
        entry.note(Some((at("10.0.0.1"), Duration::from_secs(50))), Some(FAILED));
        assert_eq!((wait(&entry), entry.addresses().unwrap().len()), (2, 1));
    }

    #[test]
    fn a_name_is_known_while_someone_uses_it() {
        let names = Names::default();
        let question = Question::Host("a.test".into());
        let (first, equal, other) = (settings(None), settings(None), settings(Some(1)));
        let entry = names.of(&question, Resolve::Ttl, &first);
        assert!(Arc::ptr_eq(&entry, &names.of(&question, Resolve::Lazy, &equal)));
        assert!(!Arc::ptr_eq(&entry, &names.of(&question, Resolve::Ttl, &other)));
        assert!(!Arc::ptr_eq(&entry, &names.of(&question, Resolve::Once, &first)));
        entry.note(Some((at("10.0.0.1"), Duration::from_secs(50))), None);
        drop(entry);
        assert_eq!(names.of(&question, Resolve::Ttl, &first).addresses(), None);
    }
}
