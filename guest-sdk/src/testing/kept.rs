//! Stores and secrets for tests: the thread's own, and empty at first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::bindings::imports::tidegate::plugin::kv::KvError;

#[derive(Default)]
struct Kept {
    stores: Vec<(String, HashMap<String, Entry>)>,
    failure: Option<KvError>,
    secrets: HashMap<String, String>,
}

struct Entry {
    value: Vec<u8>,
    /// By the clock that never goes back; none for no end.
    until: Option<Duration>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

pub(super) fn grant_store(name: &str) {
    KEPT.with_borrow_mut(|kept| {
        if kept.stores.iter().all(|(known, _)| known != name) {
            kept.stores.push((name.to_owned(), HashMap::new()));
        }
    });
}

pub(super) fn fail_stores(failure: Option<KvError>) {
    KEPT.with_borrow_mut(|kept| kept.failure = failure);
}

pub(super) fn set_secret(name: &str, text: &str) {
    KEPT.with_borrow_mut(|kept| kept.secrets.insert(name.to_owned(), text.to_owned()));
}

/// Interface `secrets`.
pub(crate) mod secrets {
    use super::KEPT;

    pub(crate) fn get(name: &str) -> Result<String, String> {
        let missing = || format!("no secret \"{name}\": `testing::set_secret` gives one");
        KEPT.with_borrow(|kept| kept.secrets.get(name).cloned().ok_or_else(missing))
    }
}

/// Interface `kv`.
pub(crate) mod kv {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::{Entry, KEPT};
    use crate::bindings::imports::tidegate::plugin::kv::{KvError, Raised};

    /// The longest key, bytes.
    const LONGEST_KEY: usize = 512;
    /// The largest number of `raise`.
    const LARGEST: u64 = 1 << 53;

    pub(crate) fn open(name: &str) -> Result<u32, KvError> {
        let found = KEPT.with_borrow(|kept| kept.stores.iter().position(|(known, _)| known == name));
        let missing = || KvError::Denied(format!("no store \"{name}\": `testing::grant_store` gives one"));
        found.and_then(|index| u32::try_from(index).ok()).ok_or_else(missing)
    }

    pub(crate) fn get(store: u32, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        within(store, key, |entries| Ok(entries.get(key).map(|entry| entry.value.clone())))
    }

    pub(crate) fn set(store: u32, key: &str, value: &[u8], ttl: u32) -> Result<(), KvError> {
        within(store, key, |entries| {
            put(entries, key, value, end(ttl));
            Ok(())
        })
    }

    pub(crate) fn delete(store: u32, key: &str) -> Result<bool, KvError> {
        within(store, key, |entries| Ok(entries.remove(key).is_some()))
    }

    pub(crate) fn increment(store: u32, key: &str, by: i64, ttl: u32) -> Result<i64, KvError> {
        within(store, key, |entries| {
            let (before, until) = match entries.get(key) {
                Some(entry) => (number(entry)?, entry.until),
                None => (0, end(ttl)),
            };
            let sum = before.checked_add(by).ok_or(KvError::NotANumber)?;
            put(entries, key, sum.to_string().as_bytes(), until);
            Ok(sum)
        })
    }

    pub(crate) fn compare_and_swap(
        store: u32,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        ttl: u32,
    ) -> Result<bool, KvError> {
        within(store, key, |entries| {
            if entries.get(key).map(|entry| entry.value.as_slice()) != expected {
                return Ok(false);
            }
            match new {
                Some(value) => put(entries, key, value, end(ttl)),
                None => drop(entries.remove(key)),
            }
            Ok(true)
        })
    }

    pub(crate) fn raise(store: u32, key: &str, floor: i64, by: i64, most: i64, ttl: u32) -> Result<Raised, KvError> {
        if by < 0 || [floor, by, most].iter().any(|number| number.unsigned_abs() > LARGEST) {
            return Err(KvError::Invalid("`by` is 0 or more, and no number is above 2^53".to_owned()));
        }
        within(store, key, |entries| {
            let before = entries.get(key).map_or(Ok(floor), |entry| Ok(number(entry)?.max(floor)))?;
            let sum = before.checked_add(by).ok_or(KvError::NotANumber)?;
            if sum > most {
                return Ok(Raised { done: false, value: before });
            }
            put(entries, key, sum.to_string().as_bytes(), end(ttl));
            Ok(Raised { done: true, value: sum })
        })
    }

    fn put(entries: &mut HashMap<String, Entry>, key: &str, value: &[u8], until: Option<Duration>) {
        entries.insert(key.to_owned(), Entry { value: value.to_vec(), until });
    }

    fn number(entry: &Entry) -> Result<i64, KvError> {
        let text = std::str::from_utf8(&entry.value).map_err(|_not_text| KvError::NotANumber)?;
        text.parse().map_err(|_no_number| KvError::NotANumber)
    }

    fn end(ttl: u32) -> Option<Duration> {
        (ttl > 0).then(|| now() + Duration::from_millis(ttl.into()))
    }

    fn now() -> Duration {
        Duration::from_nanos(crate::testing::clock::monotonic())
    }

    fn within<T>(
        store: u32,
        key: &str,
        work: impl FnOnce(&mut HashMap<String, Entry>) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        let now = now();
        KEPT.with_borrow_mut(|kept| {
            let entries = usize::try_from(store).ok().and_then(|index| kept.stores.get_mut(index));
            let Some((_, entries)) = entries else {
                return Err(KvError::Denied(format!("{store} is the number of no store that was opened")));
            };
            if let Some(failure) = &kept.failure {
                return Err(failure.clone());
            }
            if key.is_empty() || key.len() > LONGEST_KEY {
                return Err(KvError::Invalid(format!("a key has 1 to {LONGEST_KEY} bytes, not {}", key.len())));
            }
            if entries.get(key).and_then(|entry| entry.until).is_some_and(|until| until <= now) {
                entries.remove(key);
            }
            work(entries)
        })
    }
}
