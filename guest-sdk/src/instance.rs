//! The one value of the plugin that lives in a Wasm instance.

use std::cell::RefCell;

use crate::{Plugin, config};

/// The place of the plugin's value, empty until `lifecycle.configure`. Used by
/// [`crate::export!`].
#[derive(Debug, Default)]
pub struct Instance<P>(RefCell<Option<P>>);

impl<P: Plugin> Instance<P> {
    /// An empty place.
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// `lifecycle.configure`: parse the document and make the plugin.
    ///
    /// # Errors
    /// The pointer to the wrong key and what is wrong, as the contract wants it.
    pub fn configure(&self, document: &str) -> Result<(), String> {
        log_panics();
        let plugin = config::parse(document).and_then(P::configure).map_err(|e| e.to_string())?;
        *self.0.borrow_mut() = Some(plugin);
        Ok(())
    }

    /// `config-schema.schema`.
    pub fn config_schema(&self) -> String
    where
        P: crate::ConfigSchema,
    {
        P::config_schema()
    }

    /// Run a hook. Aborts (which the host sees as a trap) where the host calls a hook
    /// before `configure`, which it promises not to do.
    pub fn call<R>(&self, hook: impl FnOnce(&mut P) -> R) -> R {
        match self.0.borrow_mut().as_mut() {
            Some(plugin) => hook(plugin),
            None => std::process::abort(),
        }
    }
}

/// A panic of a guest has nowhere to print to: let the proxy's log have it.
fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| crate::log::error(panic)));
}
