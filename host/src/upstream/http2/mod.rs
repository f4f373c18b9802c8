//! HTTP/2 to peers (RFC 9113), with tunnels by extended CONNECT (RFC 8441).
//!
//! Over the crate `h2` itself and not over hyper's client, which hides what matters here: whether
//! the peer offers extended CONNECT, how many streams it allows, which streams a GOAWAY left
//! undone, and the windows.
//!
//! A worker has few connections to a peer, and each serves many requests at once. A task of its
//! own drives each; the requests and tunnels on it are driven by the tasks of their clients, as
//! with HTTP/1.1.

mod answer;
mod asked;
mod connection;
mod failure;
mod head;
mod once;
mod pool;
mod sender;
mod slot;
mod watched;

pub use asked::Asked;
pub use failure::{Again, Failure};
pub use head::{Head, switched};
pub use once::Once;
pub use pool::{Found, acquire, offers_tunnels};
pub use slot::Slot;

/// What a peer may send on one stream before it is read, bytes: what a slow client makes the
/// proxy hold at most. RFC 9113 has 65,535; four times that fills a gigabit at 2 ms.
const STREAM_WINDOW: u32 = 256 << 10;
/// Streams that share a connection at most, however many the peer allows.
const MOST_STREAMS: u32 = 100;
/// What a peer may send on all streams of a connection before it is read, bytes. All their
/// windows fit in, so that slow clients cannot stop the others.
const CONNECTION_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;
/// What a stream may have waiting for the connection's socket, bytes.
const SEND_BUFFER: usize = 64 << 10;
/// The largest head of an answer, as with HTTP/1.1, bytes (RFC 9113 §6.5.2).
const LARGEST_HEAD: u32 = 64 << 10;
