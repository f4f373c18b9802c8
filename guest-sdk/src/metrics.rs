//! Numbers for the proxy's Prometheus output. Make them in
//! [`Plugin::configure`](crate::Plugin::configure) and keep them in the plugin: an
//! update is then one cheap call. The same name and labels are one series in all
//! instances of all workers.
//!
//! ```
//! use tidegate_plugin::{metrics::Counter, testing};
//!
//! let refused = Counter::new("refused_total", "Requests refused.", &[("why", "origin")])?;
//! refused.add(2);
//! assert_eq!(testing::metric("refused_total", &[("why", "origin")]), Some(2.0));
//! # Ok::<(), tidegate_plugin::metrics::Refused>(())
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::metrics as host;
use crate::bindings::imports::tidegate::plugin::metrics::MetricError;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::metrics as host;

/// Why a metric could not be made: a bad name, too many series, or a name that is taken
/// by a metric of another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The metric's name.
    pub name: String,
    why: MetricError,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.why {
            MetricError::BadName => "a name is not [a-zA-Z_][a-zA-Z0-9_]*, or the bounds do not rise",
            MetricError::TooMany => "the plugin has too many series",
            MetricError::TypeMismatch => "the name is taken by a metric of another type",
        };
        write!(f, "metric `{}`: {why}", self.name)
    }
}

impl std::error::Error for Refused {}

/// A number that only rises.
#[derive(Debug, Clone)]
pub struct Counter(u32);

/// A number that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(u32);

/// Observations counted in buckets.
#[derive(Debug, Clone)]
pub struct Histogram(u32);

impl Counter {
    /// Register it. Shown as `tidegate_plugin_NAME{plugin="…", …}`.
    ///
    /// # Errors
    /// The host's refusal.
    pub fn new(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Self, Refused> {
        host::counter(name, help, &owned(labels)).map(Self).map_err(|why| refused(name, why))
    }

    /// Raise it by `n`.
    pub fn add(&self, n: u64) {
        host::add(self.0, n);
    }
}

impl Gauge {
    /// Register it.
    ///
    /// # Errors
    /// The host's refusal.
    pub fn new(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Self, Refused> {
        host::gauge(name, help, &owned(labels)).map(Self).map_err(|why| refused(name, why))
    }

    /// Set it.
    pub fn set(&self, value: f64) {
        host::set(self.0, value);
    }
}

impl Histogram {
    /// Register it, with the buckets' upper bounds in rising order.
    ///
    /// # Errors
    /// The host's refusal.
    pub fn new(name: &str, help: &str, labels: &[(&str, &str)], bounds: &[f64]) -> Result<Self, Refused> {
        host::histogram(name, help, &owned(labels), bounds).map(Self).map_err(|why| refused(name, why))
    }

    /// Count one observation.
    pub fn observe(&self, value: f64) {
        host::observe(self.0, value);
    }
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refused(name: &str, why: MetricError) -> Refused {
    Refused { name: name.to_owned(), why }
}
