//! A core Wasm module, as the compiler makes it, into a component.

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// `core` carries what `wit-bindgen` noted about its imports and exports; of the
/// imports, the component keeps those that are used.
///
/// # Errors
/// The module has no such note, or does not fit it.
pub(crate) fn componentize(core: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core).context("not a guest module")?;
    encoder.encode().context("cannot make a component of the module")
}
