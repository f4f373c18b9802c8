//! Zones: a key, and what is counted by it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

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
    counted: Arc<Counted>,
    key: Template,
}

/// What outlives a reload.
struct Counted {
    key: Box<str>,
    size: usize,
    /// There once a rule needs them.
    rates: OnceLock<Arc<Rates>>,
    opened: OnceLock<Arc<Opened>>,
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
                    rates: OnceLock::new(),
                    opened: OnceLock::new(),
                })
            }),
            // What is no template was refused when the configuration was read.
            key: Template::parse(&config.key).unwrap_or_default(),
        }
    }

    /// What is counted by rate.
    pub(super) fn rates(&self) -> Arc<Rates> {
        Arc::clone(self.counted.rates.get_or_init(|| Arc::new(Rates::new(self.counted.size))))
    }

    /// What is open.
    pub(super) fn opened(&self) -> Arc<Opened> {
        Arc::clone(self.counted.opened.get_or_init(|| Arc::new(Opened::new(self.counted.size))))
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
