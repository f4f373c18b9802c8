//! Write [Tidegate](https://github.com/tidegate/tidegate) plugins in Rust.
//!
//! A plugin is a type that implements [`Plugin`] (it is made from its configuration)
//! and one small trait for each hook that it serves. [`export!`] makes a component of
//! it that exports these hooks and no others, so that the proxy never calls it in vain.
//!
//! ```
//! use tidegate_plugin::{Authorizer, ConfigError, Grant, Plugin, Reply, Verdict, request};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     token: String,
//! }
//!
//! struct Token(Vec<u8>);
//!
//! impl Plugin for Token {
//!     type Config = Config;
//!     fn configure(config: Config) -> Result<Self, ConfigError> {
//!         if config.token.is_empty() {
//!             return Err(ConfigError::new("/token", "must not be empty"));
//!         }
//!         Ok(Self(config.token.into_bytes()))
//!     }
//! }
//!
//! impl Authorizer for Token {
//!     fn authorize(&mut self) -> Verdict {
//!         match request::header("x-token") {
//!             Some(token) if token == self.0 => Grant::new().variable("remote_user", "token").into(),
//!             _ => Reply::new(401).text("a token is needed\n").into(),
//!         }
//!     }
//! }
//!
//! tidegate_plugin::export!(Token: authorizer);
//! # fn main() {
//! // Off wasm32 the same code runs against a request made by hand: plain `cargo test`.
//! use tidegate_plugin::testing;
//! let mut plugin: Token = testing::configure(r#"{"token": "s3cret"}"#).unwrap();
//! let request = testing::Request::get("/ws").header("X-Token", "s3cret");
//! assert!(matches!(testing::with(&request, || plugin.authorize()), Verdict::Grant(_)));
//! # }
//! ```
//!
//! `cargo xtask plugins --path DIR` turns the crate in `DIR` (`crate-type = ["cdylib",
//! "rlib"]`) into a component. What a call costs, what may be edited, and what happens
//! when a plugin fails is said in `wit/v0.1/`, the contract that this crate wraps.

pub mod access;
#[doc(hidden)]
pub mod bindings;
pub mod bodies;
pub mod clock;
pub mod config;
mod hook;
pub mod http_client;
mod instance;
pub mod kv;
pub mod log;
mod macros;
pub mod messages;
pub mod metrics;
pub mod peers;
pub mod request;
pub mod response;
pub mod secrets;
pub mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

pub use bindings::access_log::exports::tidegate::plugin::access_log::Summary;
pub use bindings::authorizer::exports::tidegate::plugin::authorizer::{Grant, Verdict};
pub use bindings::balancer::exports::tidegate::plugin::balancer::{Peer, Tag};
pub use bindings::imports::tidegate::plugin::types::{
    Decision, EditOperation, Endpoint, Field, FieldEdit as Edit, IpAddress, LocalReply as Reply, Variable,
};
pub use bindings::router::exports::tidegate::plugin::router::Target;
pub use config::{ConfigError, NoConfig};
pub use hook::{
    AccessLog, Authorizer, Balancer, ConfigSchema, ConfiguredAsIs, Messages, Origin, Plugin, RequestBody,
    RequestHeaders, ResponseBody, ResponseHeaders, Router, Tunnel,
};
#[doc(hidden)]
pub use instance::Instance;
pub use template::Template;
