//! Whether certificates are revoked, as their authorities say (RFC 6960): asked for, checked, and
//! stapled to handshakes until they are asked again.
//!
//! nginx: `ssl_stapling`, which asks when a handshake needs it first; here it is asked before.

mod check;
mod question;
mod stapler;

pub use stapler::Stapler;
