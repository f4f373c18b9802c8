//! Clients' connections: bytes become requests, and answers bytes.

mod http1;

pub use http1::serve;
