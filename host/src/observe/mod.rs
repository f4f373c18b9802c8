//! What happened: the record of each exchange, the access log, and metrics.

mod access_log;
mod metrics;
mod record;

pub use access_log::{AccessLog, LogFacts};
pub use metrics::Metrics;
pub use record::{After, Record};
