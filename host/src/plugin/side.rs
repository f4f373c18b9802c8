//! An engine with what belongs to it: the linkers of its imports, and its part of the disk cache.

use wasmtime::Engine;

use super::cache::{Cache, ComponentDigest};
use super::engine::{self, Abi};
use super::error::PluginError;
use super::imports::Linkers;
use super::load::{self, Compiled};
use super::runtime::RuntimeSettings;

/// One of the two engines, ready to load components.
pub(super) struct Side {
    engine: Engine,
    linkers: Linkers,
    /// Its key has the engine's settings in it, so that neither engine sees what the other compiled.
    cache: Option<Cache>,
}

impl Side {
    /// Make it.
    ///
    /// # Errors
    /// [`PluginError::Engine`] where there is not enough address space.
    pub(super) fn new(abi: Abi, settings: &RuntimeSettings) -> Result<Self, PluginError> {
        let broken = |error: wasmtime::Error| PluginError::Engine { detail: format!("{error:#}") };
        let engine = engine::engine(abi, settings.instances.max(1), settings.stack).map_err(broken)?;
        let linkers = Linkers::new(&engine, abi).map_err(broken)?;
        let cache = settings.cache_dir.as_ref().and_then(|dir| match Cache::open(dir, &engine) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "no cache for compiled plugins: each start compiles them");
                None
            }
        });
        Ok(Self { engine, linkers, cache })
    }

    /// The engine itself.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Take a component from the cache or compile it, and link it.
    ///
    /// # Errors
    /// As [`load::compile`] and [`load::link`].
    pub(super) fn compiled(
        &self,
        digest: &ComponentDigest,
        bytes: &[u8],
        kv_waits: bool,
    ) -> Result<Compiled, PluginError> {
        let cached = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, digest));
        let component = match cached {
            Some(component) => component,
            None => {
                let component = load::compile(&self.engine, bytes)?;
                if let Some(cache) = &self.cache {
                    cache.put(digest, &component);
                }
                component
            }
        };
        load::link(&self.linkers, &component, bytes.len(), kv_waits)
    }
}
