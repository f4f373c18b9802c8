//! Opening compiled components: the only unsafe code of this folder.
#![allow(unsafe_code, reason = "wasmtime cannot prove that a file is compiled code that it wrote itself")]

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Map a compiled component into memory.
///
/// The caller vouches for the file: it stands in a directory that only this process's user
/// can write to (`cache::Cache::open` checks that), and this program wrote it there. A
/// forged file would be native code.
pub(super) fn open(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the cache checked that nobody but our own user can have written the file,
    // and files are put in place whole, by rename; wasmtime itself refuses a file of
    // another version or of other engine settings.
    unsafe { Component::deserialize_file(engine, path) }
}
