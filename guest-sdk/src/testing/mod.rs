//! The native test kit: the plugin's own code, with its calls to
//! [`request`](crate::request) and the rest, under plain `cargo test`.
//!
//! Off wasm32 the SDK's functions read a request made by hand instead of asking a host.
//! What they read is the thread's own, so tests may run side by side.
//!
//! ```
//! use tidegate_plugin::{request, testing};
//!
//! let request = testing::Request::get("/chat/../ws?room=1")
//!     .header("Host", "Example.com:8080")
//!     .header("Origin", "https://app.example.com")
//!     .variable("remote_user", "ann");
//! testing::with(&request, || {
//!     assert_eq!(request::path(), "/ws");
//!     assert_eq!(request::host(), "example.com");
//!     assert_eq!(request::header("origin").as_deref(), Some(&b"https://app.example.com"[..]));
//!     assert_eq!(request::variable("arg_room").as_deref(), Some("1"));
//!     assert_eq!(request::variable("remote_user").as_deref(), Some("ann"));
//! });
//! ```

mod body;
mod exchange;
mod granted;
mod host;
mod kept;
mod load;
mod path;
mod tunnel;

use std::time::Duration;

pub use body::{Sent, request_body, request_pieces, response_body, response_pieces};
pub use exchange::{Request, Response};
pub use granted::Access;
pub(crate) use host::{access, clock, http_client, log, metrics, peers, request, response};
pub(crate) use kept::{kv, secrets};
pub use load::Load;
pub use tunnel::Tunnel;

use crate::http_client::FetchError;
use crate::kv::KvError;
use crate::log::Level;
use crate::{ConfigError, Plugin, config};

/// Make a plugin as the host would: from its configuration as JSON.
///
/// # Errors
/// What the operator would be shown.
pub fn configure<P: Plugin>(document: &str) -> Result<P, ConfigError> {
    config::parse(document).and_then(P::configure)
}

/// Run `hook` with this as the current request.
pub fn with<R>(request: &Request, hook: impl FnOnce() -> R) -> R {
    host::during(Some(request.clone()), None, hook)
}

/// Run `hook` with this request and this head of a response, as the hooks
/// `response-headers` and `access-log` are.
pub fn with_response<R>(request: &Request, response: &Response, hook: impl FnOnce() -> R) -> R {
    host::during(Some(request.clone()), Some(response.clone()), hook)
}

/// Run `hook` with this request and this load of the peers, as [`crate::Balancer::pick`] is.
pub fn with_peers<R>(request: &Request, load: &Load, hook: impl FnOnce() -> R) -> R {
    host::during_pick(load.clone(), || with(request, hook))
}

/// Run hook `authorizer` with this as the current request; what it answers, and what it binds a
/// tunnel to, which is in force only if the answer is a grant.
pub fn with_access<R>(request: &Request, hook: impl FnOnce() -> R) -> (R, Access) {
    host::hearing(|| with(request, hook))
}

/// The lines that this thread's plugins logged since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    host::take_log()
}

/// The value of a counter or gauge, or the number of observations of a histogram; none
/// where no plugin of this thread registered such a series.
pub fn metric(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    host::metric(name, labels)
}

/// Answer what this thread's plugins fetch from now on. Until then every fetch is denied, as
/// without a grant.
pub fn answer_fetches(
    answer: impl Fn(&crate::http_client::Request) -> Result<crate::http_client::Response, FetchError> + 'static,
) {
    host::answer_fetches(Box::new(answer));
}

/// The requests that this thread's plugins made since the last call.
pub fn take_fetches() -> Vec<crate::http_client::Request> {
    host::take_fetches()
}

/// What [`crate::clock`] says on this thread from now on; both start at 0.
pub fn set_clock(monotonic: Duration, unix: Duration) {
    host::set_clock(monotonic, unix);
}

/// Let time pass on this thread, by both clocks of [`crate::clock`].
pub fn advance_clock(by: Duration) {
    host::advance_clock(by);
}

/// Grant this thread's plugins a store, which is empty; one that is granted already stays as
/// it is. Keys end by the clock of [`set_clock`] and [`advance_clock`].
pub fn grant_store(name: &str) {
    kept::grant_store(name);
}

/// Let everything that is asked of this thread's stores fail from now on, or work again.
pub fn fail_stores(failure: Option<KvError>) {
    kept::fail_stores(failure);
}

/// Grant this thread's plugins a secret.
pub fn set_secret(name: &str, text: &str) {
    kept::set_secret(name, text);
}
