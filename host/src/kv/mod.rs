//! The stores of plugins: keys and values in memory, or in a Redis.
//!
//! A store is the process's: all workers share it, and it goes on over reloads. What memory
//! holds is bounded by number and bytes; a Redis that is away costs nobody a wait.

mod memory;
mod numbers;
mod redis;

use std::sync::Arc;
use std::time::Instant;

use crate::config;
use crate::hook::{Kv, KvError, KvOperation, KvReply};
use memory::Memory;
use numbers::Numbers;
use redis::Redis;

/// The stores of a configuration, in its order.
#[derive(Default)]
pub struct Stores(Vec<Arc<Store>>);

/// One `[kv.NAME]`.
pub struct Store {
    name: Arc<str>,
    max_value: usize,
    place: Place,
    numbers: Arc<Numbers>,
}

/// Where a store keeps what it has.
enum Place {
    Memory(Arc<Memory>, config::KvMemory),
    Redis(Arc<Redis>),
}

impl Stores {
    /// Make them ready; nothing is connected to. What those of the same name in `before` hold
    /// is kept: in memory under new bounds too, in a Redis where it is the same one.
    pub fn new(config: &[config::Kv], before: Option<&Self>) -> Self {
        let made = |kv: &config::Kv| {
            let before = before.and_then(|before| before.0.iter().find(|store| store.name == kv.name));
            let place = match (&kv.place, before.map(|store| &store.place)) {
                (config::KvPlace::Memory(bounds), Some(Place::Memory(memory, _))) => {
                    Place::Memory(Arc::clone(memory), bounds.clone())
                }
                (config::KvPlace::Memory(bounds), _) => Place::Memory(Arc::default(), bounds.clone()),
                (config::KvPlace::Redis(redis), Some(Place::Redis(before))) if before.is(redis) => {
                    Place::Redis(Arc::clone(before))
                }
                (config::KvPlace::Redis(redis), _) => Place::Redis(Arc::new(Redis::new(redis.clone()))),
            };
            let numbers = before.map_or_else(Arc::default, |store| Arc::clone(&store.numbers));
            Arc::new(Store { name: Arc::clone(&kv.name), max_value: kv.max_value, place, numbers })
        };
        Self(config.iter().map(made).collect())
    }

    /// A store by its place in the configuration.
    pub fn get(&self, index: usize) -> Option<&Arc<Store>> {
        self.0.get(index)
    }

    /// Write the numbers of all stores in Prometheus' text format.
    pub fn render(&self, out: &mut String) {
        numbers::render(&self.0, out);
    }
}

impl Kv for Store {
    fn waits(&self) -> bool {
        matches!(self.place, Place::Redis(_))
    }

    fn ask(&self, key: Vec<u8>, operation: KvOperation) -> KvReply {
        let (start, which) = (Instant::now(), numbers::Which::of(&operation));
        if let Err(error) = self.fits(&operation) {
            self.numbers.count(which, start, Some(&error));
            return KvReply::Ready(Err(error));
        }
        match &self.place {
            Place::Memory(memory, bounds) => {
                let answer = memory.apply(bounds, &key, operation);
                self.numbers.count(which, start, answer.as_ref().err());
                KvReply::Ready(answer)
            }
            Place::Redis(redis) => {
                let (redis, numbers, max_value) = (Arc::clone(redis), Arc::clone(&self.numbers), self.max_value);
                KvReply::Later(Box::pin(async move {
                    let answer = redis.ask(key, operation, max_value).await;
                    numbers.count(which, start, answer.as_ref().err());
                    answer
                }))
            }
        }
    }
}

impl Store {
    /// Whether its values are within the bounds.
    fn fits(&self, operation: &KvOperation) -> Result<(), KvError> {
        let value = match operation {
            KvOperation::Set { value, .. } => Some(value),
            KvOperation::Swap { new, .. } => new.as_ref(),
            _ => None,
        };
        match value {
            Some(value) if value.len() > self.max_value => Err(too_long(self.max_value)),
            _ => Ok(()),
        }
    }
}

/// A value is longer than it may be.
fn too_long(max_value: usize) -> KvError {
    KvError::Invalid(format!("a value of this store has at most {max_value} bytes (`max_value`)"))
}
