//! Stores of cases: in memory, filled as a case says, and told of after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::show;
use crate::config::{self, KvMemory, KvPlace, defaults};
use crate::hook::{Kv, KvGrant, KvOperation, KvReply, KvValue};
use crate::kv::{Store, Stores};

/// What a case says: names of stores, and the keys and values that each begins with.
pub(super) type Contents = BTreeMap<String, BTreeMap<String, String>>;

/// The stores of one case.
pub(super) struct Kept(Vec<(Arc<str>, Arc<Watched>)>);

/// A store of the proxy's kind, and which keys were asked for.
struct Watched {
    store: Arc<Store>,
    keys: Mutex<BTreeSet<Vec<u8>>>,
}

impl Kv for Watched {
    fn waits(&self) -> bool {
        self.store.waits()
    }

    fn ask(&self, key: Vec<u8>, operation: KvOperation) -> KvReply {
        self.keys.lock().insert(key.clone());
        self.store.ask(key, operation)
    }
}

impl Kept {
    /// Make them, with the bounds that a configuration has which says nothing.
    ///
    /// # Errors
    /// A value that no store takes.
    pub(super) fn new(contents: &Contents) -> Result<Self, String> {
        let number = |bound: u64| usize::try_from(bound).unwrap_or(usize::MAX);
        let bounds = KvMemory {
            max_keys: number(defaults::KV_KEYS),
            max_bytes: number(defaults::KV_BYTES),
            refuse: defaults::KV_FULL == "refuse",
        };
        let config: Vec<config::Kv> = contents
            .keys()
            .map(|name| config::Kv {
                name: name.as_str().into(),
                max_value: number(defaults::KV_VALUE),
                place: KvPlace::Memory(bounds.clone()),
            })
            .collect();
        let stores = Stores::new(&config, None);
        let mut kept = Vec::new();
        for (index, (name, values)) in contents.iter().enumerate() {
            let Some(store) = stores.get(index) else { continue };
            let watched = Arc::new(Watched { store: Arc::clone(store), keys: Mutex::default() });
            for (key, value) in values {
                let set = KvOperation::Set { value: value.clone().into_bytes(), ttl: None };
                now(watched.ask(key.clone().into_bytes(), set))
                    .map_err(|error| format!("`kv.{name}.{key}`: {error}"))?;
            }
            kept.push((Arc::from(name.as_str()), watched));
        }
        Ok(Self(kept))
    }

    /// Grant all of them, whole: keys are as the plugin names them.
    pub(super) fn grants(&self) -> Vec<KvGrant> {
        let grant = |(name, store): &(Arc<str>, Arc<Watched>)| KvGrant {
            name: Arc::clone(name),
            prefix: "".into(),
            store: Arc::clone(store) as Arc<dyn Kv>,
        };
        self.0.iter().map(grant).collect()
    }

    /// What they hold of the keys that the case or the plugin named.
    pub(super) fn show(&self) -> Value {
        let shown = self.0.iter().map(|(name, watched)| {
            let keys = watched.keys.lock().clone();
            let values: Map<String, Value> = keys
                .into_iter()
                .filter_map(|key| match now(watched.store.ask(key.clone(), KvOperation::Get)) {
                    Ok(KvValue::Bytes(Some(value))) => {
                        Some((String::from_utf8_lossy(&key).into_owned(), show::bytes(&value)))
                    }
                    _ => None,
                })
                .collect();
            (name.to_string(), Value::Object(values))
        });
        Value::Object(shown.collect())
    }
}

/// The answer of a store in memory, which is there at once.
fn now(reply: KvReply) -> Result<KvValue, String> {
    match reply {
        KvReply::Ready(answer) => answer.map_err(|error| error.to_string()),
        KvReply::Later(_) => Err("the store answers later".to_owned()),
    }
}
