//! Certificates that are ordered from an authority and renewed in time (RFC 8555).
//!
//! nginx: its module `ngx_http_acme_module`, with one issuer. The [`Keeper`] lives as long as the
//! process: a reload tells it what is wanted, and orders that are still wanted go on. It writes
//! files; [`crate::tls::server::Renewal`] serves them.

mod account;
mod challenges;
mod due;
mod job;
mod keeper;
mod order;
mod settings;
mod store;

pub use challenges::Challenges;
pub use keeper::{Keeper, Outlook};
pub use settings::{Challenge, Eab, Settings, Wanted, Wish};
