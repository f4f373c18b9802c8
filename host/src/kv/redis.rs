//! A store in a Redis: one connection for each worker, over which its plugins' questions go
//! one behind the other without waiting for each other's answers.
//!
//! Each operation is one command, one transaction or one script, so that it is atomic there.
//! A connection that cannot be made, or does not answer, is tried again after a pause that
//! grows; meanwhile every operation fails at once.

mod link;
mod script;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value, cmd, pipe};
use tokio::sync::watch;

use super::too_long;
use crate::config::KvRedis;
use crate::hook::{KvError, KvOperation, KvValue};
use link::Link;

/// The store.
pub(super) struct Redis {
    settings: KvRedis,
    /// Tells it from every other store of the process, those that are gone among them.
    id: u64,
    /// Dropped with the store, which ends its connections.
    alive: watch::Sender<()>,
    made: AtomicU64,
    failed: AtomicU64,
}

impl Redis {
    /// Nothing is connected to before the first operation.
    pub(super) fn new(settings: KvRedis) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (made, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { settings, id: NEXT.fetch_add(1, Ordering::Relaxed), alive: watch::Sender::new(()), made, failed }
    }

    /// Whether it is the one of these settings.
    pub(super) fn is(&self, settings: &KvRedis) -> bool {
        self.settings == *settings
    }

    /// How many connections were made, and how many could not be.
    pub(super) fn connections(&self) -> (u64, u64) {
        (self.made.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Do something to a key, within the store's time.
    pub(super) async fn ask(
        self: Arc<Self>,
        key: Vec<u8>,
        operation: KvOperation,
        max_value: usize,
    ) -> Result<KvValue, KvError> {
        let link = link::mine(&self);
        let mut used = None;
        let asking = async {
            let mut connection = link::connection(&self, &link).await?;
            used = Some(connection.generation);
            let value = run(&mut connection.inner, &key, operation).await.map_err(|error| told(&error))?;
            match value {
                KvValue::Bytes(Some(bytes)) if bytes.len() > max_value => Err(too_long(max_value)),
                value => Ok(value),
            }
        };
        let answer = tokio::time::timeout(self.settings.timeout, asking).await.unwrap_or(Err(KvError::Timeout));
        match (&answer, used) {
            // Whoever comes next would wait as long.
            (Err(KvError::Timeout), Some(generation)) => link.give_up(generation, "it did not answer in time"),
            (Err(KvError::Unavailable(why)), Some(generation)) => link.give_up(generation, why),
            (_, Some(_)) => link.answered(),
            (_, None) => {}
        }
        answer
    }
}

/// Send an operation, and wait for its answer.
async fn run(connection: &mut MultiplexedConnection, key: &[u8], operation: KvOperation) -> RedisResult<KvValue> {
    match operation {
        KvOperation::Get => {
            let value: Option<Vec<u8>> = cmd("GET").arg(key).query_async(connection).await?;
            Ok(KvValue::Bytes(value))
        }
        KvOperation::Set { value, ttl } => {
            let mut set = cmd("SET");
            set.arg(key).arg(value);
            if ttl.is_some() {
                set.arg("PX").arg(script::millis(ttl));
            }
            let _ok: Value = set.query_async(connection).await?;
            Ok(KvValue::Done(true))
        }
        KvOperation::Delete => {
            let deleted: i64 = cmd("DEL").arg(key).query_async(connection).await?;
            Ok(KvValue::Done(deleted > 0))
        }
        KvOperation::Increment { by, ttl: None } => {
            let sum: i64 = cmd("INCRBY").arg(key).arg(by).query_async(connection).await?;
            Ok(KvValue::Number(sum))
        }
        KvOperation::Increment { by, ttl } => {
            // Where the key is there, the first of the two does nothing, and its end stays.
            let mut both = pipe();
            both.atomic();
            both.cmd("SET").arg(key).arg(0).arg("PX").arg(script::millis(ttl)).arg("NX").ignore();
            both.cmd("INCRBY").arg(key).arg(by);
            let (sum,): (i64,) = both.query_async(connection).await?;
            Ok(KvValue::Number(sum))
        }
        KvOperation::Swap { expected, new, ttl } => script::swap(connection, key, expected, new, ttl).await,
        KvOperation::Raise { floor, by, most, ttl } => script::raise(connection, key, [floor, by, most], ttl).await,
    }
}

/// An error of the connection or of the server, as plugins see it.
fn told(error: &RedisError) -> KvError {
    if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
        return unavailable(error);
    }
    let text = error.to_string();
    if text.contains("not an integer") || text.contains("would overflow") {
        KvError::NotANumber
    } else {
        KvError::Other(text)
    }
}

fn unavailable(why: impl Display) -> KvError {
    KvError::Unavailable(why.to_string())
}

/// What a worker has of a store.
type Mine = Arc<Link>;
