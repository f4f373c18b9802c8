//! Secrets by name: those of `[secrets]` that `grants` in `[plugins.NAME]` names
//! (`secret:NAME`). Best read in [`Plugin::configure`](crate::Plugin::configure), so that a
//! missing grant refuses the plugin.
//!
//! ```
//! use tidegate_plugin::{secrets, testing};
//!
//! testing::set_secret("api-key", "s3cret");
//! assert_eq!(secrets::get("api-key").as_deref(), Ok("s3cret"));
//! assert!(secrets::get("other").is_err());
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::secrets as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::secrets as host;

/// A secret's text.
///
/// # Errors
/// Which grant is missing, in words for the operator.
pub fn get(name: &str) -> Result<String, String> {
    host::get(name)
}
