//! What certificate authorities are asked for: certificates, in `acme/` (RFC 8555), and in `ocsp/`
//! whether one is revoked (RFC 6960).
//!
//! Nothing here is on the way of a request. What comes of it is a file that `tls` reads, or a
//! response that it staples.

pub mod acme;
mod http;
pub mod ocsp;

pub use http::Trust;
