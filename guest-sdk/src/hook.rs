//! The traits that a plugin's author implements: [`Plugin`], and one per hook.

use serde::de::DeserializeOwned;

use crate::{ConfigError, Decision, Edit, Reply, Summary, Target, Verdict};

/// What every plugin is: something made from a configuration. One value serves many
/// requests, one at a time, on one worker of the proxy, so its fields are a place for
/// counters and caches; other workers have values of their own.
pub trait Plugin: Sized + 'static {
    /// The `config` table of the plugin. Put `#[serde(deny_unknown_fields)]` on it, so
    /// that a misspelt key is an error that names the key. [`crate::NoConfig`] where
    /// there is nothing to configure.
    type Config: DeserializeOwned;

    /// Make the plugin. Compile patterns and parse templates here: it runs once, and a
    /// request many times. There is no request to read yet.
    ///
    /// # Errors
    /// What is wrong with the configuration: it refuses the configuration or reload as
    /// a whole, and the operator is shown the line of the key.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;
}

/// A plugin that is its own configuration, with nothing in it to check or prepare.
///
/// ```
/// use tidegate_plugin::{ConfiguredAsIs, testing};
///
/// #[derive(serde::Deserialize)]
/// struct Hello {
///     key: String,
/// }
///
/// impl ConfiguredAsIs for Hello {}
///
/// let plugin: Hello = testing::configure(r#"{"key": "sesame"}"#)?;
/// assert_eq!(plugin.key, "sesame");
/// # Ok::<(), tidegate_plugin::ConfigError>(())
/// ```
pub trait ConfiguredAsIs: DeserializeOwned + 'static {}

impl<P: ConfiguredAsIs> Plugin for P {
    type Config = P;

    fn configure(config: P) -> Result<P, ConfigError> {
        Ok(config)
    }
}

/// Hook `router`: which route a request takes. nginx: the choice of `server` and
/// `location`.
pub trait Router: Plugin {
    /// Where the current request goes; none asks the next router.
    ///
    /// # Errors
    /// An answer for the client instead of a route.
    fn route(&mut self) -> Result<Option<Target>, Reply>;
}

/// Hook `origin`: whether the request's Origin may talk to this route.
pub trait Origin: Plugin {
    /// Judge the current request.
    fn check(&mut self) -> Decision;
}

/// Hook `authorizer`: who is asking, and may they. Runs after `origin`.
pub trait Authorizer: Plugin {
    /// Judge the current request.
    fn authorize(&mut self) -> Verdict;
}

/// Hook `request-headers`: what the upstream will see. nginx: `proxy_set_header`.
pub trait RequestHeaders: Plugin {
    /// The edits to make, in order.
    ///
    /// # Errors
    /// An answer to give instead of asking the upstream.
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply>;
}

/// Hook `response-headers`: what the client will see. nginx: `add_header`,
/// `proxy_hide_header`. [`crate::response`] can be read.
pub trait ResponseHeaders: Plugin {
    /// The edits to make, in order.
    ///
    /// # Errors
    /// Another answer; for a 101 this refuses the handshake.
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply>;
}

/// Hook `access-log`: what happened. Runs after a request or tunnel ended, off its path.
pub trait AccessLog: Plugin {
    /// The exchange ended.
    fn on_end(&mut self, summary: Summary);
}
