//! Core modules into components.

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, WorldId, WorldItem};

use crate::error::{Error, Result};

/// What a libc imports where a program writes, asks the time or ends: answered inside of the component, so
/// that nothing of WASI is imported.
const STUB: &str = include_str!("wasi_stub.wat");
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// A world of a project's `wit/`.
pub(crate) struct World {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
}

/// Make a component of a core module that says itself what it imports and exports, as those of
/// `wit-bindgen` do. What it imports from WASI 0.1 is answered inside: writes are dropped, there are no files,
/// time is a counter, and randomness has a fixed seed.
///
/// # Errors
/// [`Error::Component`]: it is no module, says nothing of its world, or does not fit it.
pub fn componentize(core: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| Error::Component(format!("{error:#}"));
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core).map_err(failed)?;
    if imports_wasi(core)? {
        let stub = wat::parse_str(STUB).map_err(|error| Error::Component(error.to_string()))?;
        encoder.adapter(PREVIEW1, &stub).map_err(failed)?;
    }
    encoder.encode().map_err(failed)
}

/// The same for a module that says nothing of its world.
///
/// # Errors
/// As [`componentize`].
pub(crate) fn componentize_as(mut core: Vec<u8>, world: &World) -> Result<Vec<u8>> {
    wit_component::embed_component_metadata(&mut core, &world.resolve, world.world, StringEncoding::UTF8)
        .map_err(|error| Error::Component(format!("{error:#}")))?;
    componentize(&core)
}

fn imports_wasi(core: &[u8]) -> Result<bool> {
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::ImportSection(imports) = payload.map_err(broken)? {
            let mut imports = imports.into_imports();
            return Ok(imports.any(|import| import.is_ok_and(|import| import.module == PREVIEW1)));
        }
    }
    Ok(false)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
fn broken(error: wasmparser::BinaryReaderError) -> Error {
    Error::Component(error.to_string())
}

/// Make a module's exports those of the world. Languages whose names are identifiers are given the contract's:
/// `messages__on_message` becomes `tidegate:plugin/messages@0.1.0#on-message`, `messages__on_message__post` what frees its
/// result. Functions of hooks that the world has not are exported no more.
///
/// # Errors
/// [`Error::Component`]: no module, or one that lacks a function of an interface that the world exports.
pub(crate) fn fit_exports(core: &[u8], world: &World) -> Result<Vec<u8>> {
    let names = export_names(world);
    let mut module = Module::new();
    let mut seen = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.map_err(broken)?;
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export.map_err(broken)?;
                let kind = match export.kind {
                    ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
                    ExternalKind::Table => ExportKind::Table,
                    ExternalKind::Memory => ExportKind::Memory,
                    ExternalKind::Global => ExportKind::Global,
                    ExternalKind::Tag => ExportKind::Tag,
                };
                let named = names.iter().find(|(own, name)| own == export.name || name == export.name);
                match named {
                    Some((own, name)) => {
                        seen.push(own.clone());
                        section.export(name, kind, export.index);
                    }
                    // Only functions of interfaces have such names.
                    None if export.name.contains('#') => {}
                    None => {
                        section.export(export.name, kind, export.index);
                    }
                }
            }
            module.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let data = core.get(place(range.start)..place(range.end)).unwrap_or_default();
            module.section(&RawSection { id, data });
        }
    }
    let lacks = names.iter().find(|(own, _)| !own.ends_with("__post") && !seen.contains(own));
    if let Some((own, name)) = lacks {
        return Err(Error::Component(format!("it exports no function `{own}` for {name}")));
    }
    Ok(module.finish())
}

/// Each export of the world: as an identifier, and by its name in the contract.
fn export_names(world: &World) -> Vec<(String, String)> {
    let resolve = &world.resolve;
    let Some(of) = resolve.worlds.get(world.world) else { return Vec::new() };
    let mut names = Vec::new();
    for (key, item) in &of.exports {
        let WorldItem::Interface { id, .. } = item else { continue };
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        let short = interface.name.clone().unwrap_or_default().replace('-', "_");
        for function in interface.functions.keys() {
            let own = format!("{short}__{}", function.replace('-', "_"));
            let name = format!("{}#{function}", resolve.name_world_key(key));
            names.push((format!("{own}__post"), format!("cabi_post_{name}")));
            names.push((own, name));
        }
    }
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn wasi_is_seen_and_answered_inside() {
        let writes =
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#;
        assert!(imports_wasi(&wat::parse_str(writes).unwrap()).unwrap());
        let other = r#"(module (import "tidegate:plugin/log@0.1.0" "write" (func (param i32 i32 i32))))"#;
        assert!(!imports_wasi(&wat::parse_str(other).unwrap()).unwrap());
        assert!(imports_wasi(b"no module").is_err());
    }

    #[test]
    fn the_stub_is_a_module() {
        assert!(wat::parse_str(STUB).unwrap().starts_with(b"\0asm"));
    }
}
