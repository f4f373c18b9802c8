//! What a grant binds a tunnel to: to be said in [`Authorizer::authorize`](crate::Authorizer), beside
//! the verdict, and in force only where that is a grant. Elsewhere these calls trap.
//!
//! ```
//! use std::time::Duration;
//! use tidegate_plugin::{Authorizer, ConfiguredAsIs, Grant, Reply, Verdict, access, clock, request, testing};
//!
//! /// Lets in for a minute who says a name, and not again who is on the list.
//! #[derive(serde::Deserialize)]
//! struct Doorman {
//!     banned: Vec<String>,
//! }
//!
//! impl ConfiguredAsIs for Doorman {}
//!
//! impl Authorizer for Doorman {
//!     fn authorize(&mut self) -> Verdict {
//!         let Some(name) = request::header_text("x-name").filter(|name| !self.banned.contains(name)) else {
//!             return Reply::new(403).into();
//!         };
//!         access::subject(&name);
//!         access::tag("guests");
//!         access::expires_at(clock::unix() + Duration::from_secs(60));
//!         Grant::new().into()
//!     }
//! }
//!
//! tidegate_plugin::export!(Doorman: authorizer);
//! # fn main() {
//! let mut doorman: Doorman = testing::configure(r#"{"banned": ["bob"]}"#).unwrap();
//! testing::set_clock(Duration::ZERO, Duration::from_secs(100));
//! let ann = testing::Request::websocket("/").header("X-Name", "ann");
//! let (verdict, access) = testing::with_access(&ann, || doorman.authorize());
//! assert!(matches!(verdict, Verdict::Grant(_)));
//! assert_eq!((access.subject.as_deref(), &access.tags[..]), (Some("ann"), &["guests".to_owned()][..]));
//! assert_eq!(access.expires_at, Some(Duration::from_secs(160)));
//! // Before that minute is over it is asked again.
//! doorman.banned.push("ann".to_owned());
//! let (verdict, _) = testing::with_access(&ann.renewal(), || doorman.authorize());
//! assert!(matches!(verdict, Verdict::Deny(_)));
//! # }
//! ```

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::access as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::access as host;

/// Who it is: 1 to 256 bytes, without control characters; anything else fails the call. What a
/// revocation may name, and `$grant_subject` says.
pub fn subject(name: &str) {
    host::subject(name);
}

/// One more name that a revocation may name, such as a group or a session: as [`subject`], at most
/// 32.
pub fn tag(name: &str) {
    host::tag(name);
}

/// When the grant ends, as time since 1970 ([`clock::unix`](crate::clock::unix)). The tunnel is
/// closed then, or asked about again before where its route says so. Of several calls the earliest
/// time holds.
pub fn expires_at(unix: Duration) {
    host::expires_at(millis(unix));
}

/// How long the tunnel may be open, whatever later grants say. Of several calls the shortest time
/// holds.
pub fn max_lifetime(time: Duration) {
    host::max_lifetime(millis(time));
}

/// How long a message of the client may be, in bytes on the wire; a longer one closes the tunnel
/// with 1009. Of several calls the smallest holds.
pub fn max_message(bytes: u64) {
    host::max_message(bytes);
}

/// Whether a tunnel is open already, and this is asked before its grant ends. The request is as it
/// was then. A refusal, and no opinion, close the tunnel.
pub fn is_renewal() -> bool {
    host::is_renewal()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
