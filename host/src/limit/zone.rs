//! Zones: a key, and what is counted by it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::open::Opened;
use super::rate::Rates;
use crate::config;
use crate::hook::{Template, View};

/// One zone. nginx: `limit_req_zone`, `limit_conn_zone`.
pub struct Zone {
    /// Its name.
    pub name: Arc<str>,
    /// Thousandths of requests a second; 0 where it limits no rate.
    pub(super) rate: u64,
    pub(super) counted: Arc<Counted>,
    key: Template,
}

/// What outlives a reload.
pub(super) struct Counted {
    key: Box<str>,
    size: usize,
    pub(super) rates: Rates,
    pub(super) opened: Arc<Opened>,
}

/// The zones of one configuration, by name.
pub type Zones = HashMap<Arc<str>, Arc<Zone>>;

impl Zone {
    /// Make a zone of its configuration. What is counted goes on where the zone of this name
    /// before had the same key and size; its rate may change, as in nginx.
    pub fn new(config: &config::Zone, before: Option<&Self>) -> Self {
        let same = |counted: &&Arc<Counted>| *counted.key == *config.key && counted.size == config.size;
        let counted = before.map(|zone| &zone.counted).filter(same).cloned();
        Self {
            name: Arc::clone(&config.name),
            rate: config.rate.unwrap_or(0),
            counted: counted.unwrap_or_else(|| {
                Arc::new(Counted {
                    key: config.key.as_str().into(),
                    size: config.size,
                    rates: Rates::new(config.size),
                    opened: Arc::new(Opened::new(config.size)),
                })
            }),
            // What is no template was refused when the configuration was read.
            key: Template::parse(&config.key).unwrap_or_default(),
        }
    }

    /// Use the request's key; none where it is empty, which is not counted.
    pub(super) fn with_key<T>(&self, view: &View, then: impl FnOnce(&[u8]) -> T) -> Option<T> {
        thread_local!(static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        KEY.with_borrow_mut(|key| {
            key.clear();
            self.key.render(view, key);
            (!key.is_empty()).then(|| then(key))
        })
    }
}
