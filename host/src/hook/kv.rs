//! Keys and values that plugins keep. `plugin` takes what guests ask for, `kv` has the stores:
//! neither knows the other's side.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What is done to one key, in one step that nobody else comes between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvOperation {
    /// Read it: [`KvValue::Bytes`].
    Get,
    /// Set it: [`KvValue::Done`].
    Set {
        /// The value.
        value: Vec<u8>,
        /// How long it lasts; none for no end.
        ttl: Option<Duration>,
    },
    /// Delete it: [`KvValue::Done`], true where it was there.
    Delete,
    /// Add to a number: [`KvValue::Number`].
    Increment {
        /// What is added.
        by: i64,
        /// How long a key lasts that this makes.
        ttl: Option<Duration>,
    },
    /// Set or delete it where its value is as expected: [`KvValue::Done`], true where it was.
    Swap {
        /// What it is expected to be; none for absent.
        expected: Option<Vec<u8>>,
        /// What it becomes; none for absent.
        new: Option<Vec<u8>>,
        /// How long it lasts; none for no end.
        ttl: Option<Duration>,
    },
    /// Add to a number within bounds: [`KvValue::Raised`].
    Raise {
        /// What is added to where the number is less or absent.
        floor: i64,
        /// What is added, at least 0.
        by: i64,
        /// What the sum may be at most.
        most: i64,
        /// How long the key lasts; none for no end.
        ttl: Option<Duration>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvValue {
    /// The value; none where there is no such key.
    Bytes(Option<Vec<u8>>),
    /// Whether it was done.
    Done(bool),
    /// The number after it.
    Number(i64),
    /// Whether it was raised, and the number after it.
    Raised(bool, i64),
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// It may not be asked.
    #[error("denied: {0}")]
    Denied(String),
    /// A key, value or number is beyond its bounds.
    #[error("invalid: {0}")]
    Invalid(String),
    /// There is no room.
    #[error("the store is full")]
    Full,
    /// The value is not a whole number, or would leave its range.
    #[error("not a number, or out of range")]
    NotANumber,
    /// The store cannot be reached.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The store did not answer in time.
    #[error("timed out")]
    Timeout,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What came, or will come, of an operation.
pub enum KvReply {
    /// At once.
    Ready(Result<KvValue, KvError>),
    /// Later.
    Later(Pin<Box<dyn Future<Output = Result<KvValue, KvError>> + Send>>),
}

/// A store.
pub trait Kv: Send + Sync {
    /// Whether it ever answers later.
    fn waits(&self) -> bool;

    /// Do something to a key. Dropping a reply that comes later gives it up; what was asked
    /// for may be done all the same.
    fn ask(&self, key: Vec<u8>, operation: KvOperation) -> KvReply;
}

/// A store that a plugin may use.
#[derive(Clone)]
pub struct KvGrant {
    /// The store's name.
    pub name: Arc<str>,
    /// What stands before each of its keys.
    pub prefix: Arc<str>,
    /// The store.
    pub store: Arc<dyn Kv>,
}
