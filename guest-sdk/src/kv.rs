//! Keys and values that all instances of all workers share, and with Redis all proxies: the
//! stores of `[kv.NAME]` that `grants` in `[plugins.NAME]` names (`kv:STORE`).
//!
//! Open a store in [`Plugin::configure`](crate::Plugin::configure), where a missing grant
//! refuses the plugin in words for the operator; use it in hooks.
//!
//! ```
//! use std::time::Duration;
//! use tidegate_plugin::{ConfigError, NoConfig, Plugin, kv::{KvError, Store}, testing};
//!
//! struct Counting(Store);
//!
//! impl Plugin for Counting {
//!     type Config = NoConfig;
//!     fn configure(_: NoConfig) -> Result<Self, ConfigError> {
//!         Ok(Self(Store::open("counters")?))
//!     }
//! }
//!
//! assert!(testing::configure::<Counting>("{}").is_err(), "the store is not granted");
//! testing::grant_store("counters");
//! let Counting(store) = testing::configure("{}").unwrap();
//! let minute = Duration::from_secs(60);
//! assert_eq!(store.increment("visits", 1, minute)?, 1);
//! assert_eq!(store.increment("visits", 1, minute)?, 2);
//! assert_eq!(store.get("visits")?.as_deref(), Some(&b"2"[..]));
//! testing::advance_clock(minute);
//! assert_eq!(store.get("visits")?, None);
//! testing::fail_stores(Some(KvError::Timeout));
//! assert_eq!(store.get("visits"), Err(KvError::Timeout));
//! # Ok::<(), KvError>(())
//! ```

use std::time::Duration;

use crate::ConfigError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::kv as host;
pub use crate::bindings::imports::tidegate::plugin::kv::{KvError, Raised};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::kv as host;

/// A key that never ends, as the time of a key.
pub const FOREVER: Duration = Duration::ZERO;

/// A store. What it does to one key is atomic. A key has 1 to 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store(u32);

impl Store {
    /// The store of this name in the configuration.
    ///
    /// # Errors
    /// `Denied` where it is not granted.
    pub fn open(name: &str) -> Result<Self, KvError> {
        host::open(name).map(Self)
    }

    /// A key's value; none where there is no such key.
    ///
    /// # Errors
    /// Those of the store.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        host::get(self.0, key)
    }

    /// Set a key for so long, to the millisecond and at most 49 days, or [`FOREVER`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), KvError> {
        host::set(self.0, key, value.as_ref(), millis(ttl))
    }

    /// Delete a key; whether it was there.
    ///
    /// # Errors
    /// Those of the store.
    pub fn delete(&self, key: &str) -> Result<bool, KvError> {
        host::delete(self.0, key)
    }

    /// Add to a number, and get what it is then. A key that is not there is made, from 0 and for
    /// so long; one that is there keeps its end.
    ///
    /// # Errors
    /// Those of the store; `NotANumber` where its value is none, or the sum has no room.
    pub fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64, KvError> {
        host::increment(self.0, key, by, millis(ttl))
    }

    /// Set a key to `new`, or delete it where that is none, if its value is `expected`, or if it
    /// is not there where that is none; whether that was so.
    ///
    /// # Errors
    /// Those of the store.
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        ttl: Duration,
    ) -> Result<bool, KvError> {
        host::compare_and_swap(self.0, key, expected, new, millis(ttl))
    }

    /// Add `by` (not negative) to a number, or to `floor` where it is less or not there, unless
    /// the sum is more than `most`. A raised key ends `ttl` from then. Numbers are at most 2^53.
    ///
    /// # Errors
    /// Those of the store; `NotANumber` where its value is none.
    pub fn raise(&self, key: &str, floor: i64, by: i64, most: i64, ttl: Duration) -> Result<Raised, KvError> {
        host::raise(self.0, key, floor, by, most, millis(ttl))
    }
}

/// An end that is not 0 is never shown as none.
fn millis(ttl: Duration) -> u32 {
    if ttl.is_zero() { 0 } else { u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX).max(1) }
}

/// An error in words, for a log.
pub fn describe(error: &KvError) -> String {
    match error {
        KvError::Denied(why) => format!("denied: {why}"),
        KvError::Invalid(why) => format!("invalid: {why}"),
        KvError::Full => "the store is full".to_owned(),
        KvError::NotANumber => "the value is not a whole number, or out of range".to_owned(),
        KvError::Unavailable(why) => format!("unavailable: {why}"),
        KvError::Timeout => "no answer in time".to_owned(),
        KvError::Other(why) => why.clone(),
    }
}

/// For `?` in `configure`: the operator is told which grant is missing.
impl From<KvError> for ConfigError {
    fn from(error: KvError) -> Self {
        Self::new("", describe(&error))
    }
}
