//! Clients' connections: bytes become requests, and answers bytes.

mod http1;
mod proxied;

pub use http1::serve;
