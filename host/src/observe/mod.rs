//! What happened: the record of each exchange, access logs, and metrics.

mod access;
mod client;
pub mod level;
mod log;
mod messages;
mod metrics;
mod record;
mod seat;
mod tally;

pub use access::AccessTally;
pub use client::Client;
pub use log::{Escape, Format, LogFile, LogFiles, Logs, Pending};
pub use messages::{Decision, MessageCounts, MessageTally};
pub use metrics::{Connections, Count, Label, Metrics, Raised, header};
pub use record::{After, Record};
pub use seat::seat;
pub use tally::{Subject, Tallies, Tally, Totals};
