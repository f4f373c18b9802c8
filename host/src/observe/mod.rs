//! What happened: the record of each exchange, access logs, and metrics.

mod client;
mod log;
mod metrics;
mod record;

pub use client::Client;
pub use log::{Escape, Format, LogFile, LogFiles, Logs, Pending};
pub use metrics::Metrics;
pub use record::{After, Record};
