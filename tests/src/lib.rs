//! The harness of the tests that open sockets: subjects (Tidegate in this process, the
//! real binary, nginx), backends of several tempers, and a client at the byte level.
//!
//! Everything blocks and runs on threads, so that a test reads from top to bottom in the
//! order in which the bytes move. Every wait ends after [`patience`] at the latest, and
//! then the test fails with what it waited for and what it saw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test harness stops at the first surprise"
)]

pub mod acme;
pub mod backend;
pub mod cell;
pub mod certificates;
pub mod dns;
pub mod eventually;
pub mod front;
pub mod guests;
pub mod head;
pub mod hello;
pub mod http;
pub mod http2;
pub mod http3;
pub mod languages;
// Keys and tokens, as the tests of the plugin auth-jwt make them.
#[path = "../../plugins/auth-jwt/src/tests/signer.rs"]
pub mod jwt;
pub mod noise;
pub mod ocsp;
pub mod redis;
pub mod subject;
pub mod tempdir;
pub mod tls_client;
pub mod tools;
pub mod wire;
pub mod ws;

pub use acme::Acme;
pub use backend::Backend;
pub use certificates::{Authority, Certified};
pub use dns::{Asked, Dns};
pub use eventually::{eventually, patience, wait_for};
pub use head::Head;
pub use http::{Request, Response};
pub use http2::Http2;
pub use noise::Noise;
pub use redis::Redis;
pub use subject::{Proxy, Setup, Subject, tidegate};
pub use tempdir::TempDir;
pub use tls_client::{Session, TlsClient};
pub use wire::Wire;

/// Expand one case, a function that takes a [`Subject`], into two tests: `nginx` and
/// `tidegate`. What nginx does is the model, and the first variant proves the case.
#[macro_export]
macro_rules! both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn nginx() {
                super::$name($crate::Subject::Nginx);
            }

            #[test]
            fn tidegate() {
                super::$name($crate::Subject::Tidegate);
            }
        }
    )+};
}
