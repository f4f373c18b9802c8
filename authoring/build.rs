//! Embeds what new projects are made of: the templates, the contract, the Rust SDK's sources, bindings of the whole
//! contract for C and Go, and the Go runtime that the crate `wit-bindgen-go` brings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::{Resolve, WorldId, WorldItem};
use wit_bindgen_core::{Files, WorldGenerator};

fn main() -> std::io::Result<()> {
    let own = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let bindings = out.join("bindings");
    bind(&own.join("../wit/v0.1"), &bindings).map_err(std::io::Error::other)?;
    let mut table = String::from("&[\n");
    let mut folders = vec![
        ("templates", own.join("templates")),
        ("wit", own.join("../wit/v0.1")),
        ("sdk", own.join("../guest-sdk/src")),
        ("bindings", bindings),
    ];
    // Where cargo unpacks crates; with vendored sources it is elsewhere, and Go projects then ask Go's
    // module proxy for it.
    folders.extend(go_runtime().map(|folder| ("go-runtime", folder)));
    for (name, folder) in folders {
        if !folder.starts_with(&out) {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
        let mut files = Vec::new();
        walk(&folder, &mut files)?;
        files.sort();
        for file in files {
            let inside = file.strip_prefix(&folder).unwrap_or(&file).display().to_string();
            let line = writeln!(table, "    ({:?}, include_str!({:?})),", format!("{name}/{inside}"), file.display());
            line.map_err(std::io::Error::other)?;
        }
    }
    table.push(']');
    std::fs::write(out.join("embedded.rs"), table)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What Python leaves where it ran.
        if path.is_dir() && name != "__pycache__" {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The Go packages of the `wit-bindgen-go` that `Cargo.lock` names.
fn go_runtime() -> Option<PathBuf> {
    let lock = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?).join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-env-changed=CARGO_HOME");
    let lock = std::fs::read_to_string(lock).ok()?;
    let after = lock.split("name = \"wit-bindgen-go\"\nversion = \"").nth(1)?;
    let version = after.split('"').next()?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let registries = home.join("registry/src").read_dir().ok()?;
    let package = |registry: std::fs::DirEntry| registry.path().join(format!("wit-bindgen-go-{version}/src/pkg/wit"));
    registries.flatten().map(package).find(|folder| folder.is_dir())
}

/// Bindings of everything that plugins may call and be called for; a build leaves out what its world has not.
fn bind(contract: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if out.exists() {
        std::fs::remove_dir_all(out)?;
    }
    let read = || -> Result<(Resolve, WorldId), Box<dyn std::error::Error + Send + Sync>> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(contract)?;
        let world = resolve.select_world(&[package], Some("host"))?;
        Ok((resolve, world))
    };
    let options =
        wit_bindgen_c::Opts { no_object_file: true, rename_world: Some("plugin".to_owned()), ..Default::default() };
    let (resolve, world) = read()?;
    let mut files = generate(options.build(), resolve.clone(), world)?;
    let header = files.iter().find(|(name, _)| *name == "plugin.h").ok_or("no header was made")?.1.to_vec();
    let header = String::from_utf8(header)?;
    for item in resolve.worlds.get(world).into_iter().flat_map(|world| world.exports.values()) {
        let WorldItem::Interface { id, .. } = item else { continue };
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        let name = interface.name.clone().unwrap_or_default();
        let mut stubs = String::new();
        for function in interface.functions.keys() {
            let symbol = format!("exports_tidegate_plugin_{name}_{function}(").replace('-', "_");
            let declared = header.lines().find(|line| line.contains(&symbol) && line.ends_with(");"));
            let declared = declared.ok_or_else(|| format!("the header has no {symbol})"))?;
            // Weak: a source may still have what its world has no more.
            let declared = declared.trim_end_matches(';');
            writeln!(stubs, "__attribute__((weak)) {declared} {{ __builtin_trap(); }}")?;
        }
        files.push(&format!("absent/{name}.c"), stubs.as_bytes());
    }
    write(&files, &out.join("c"))?;
    // Worlds are numbered by what they were read into.
    let (resolve, world) = read()?;
    write(&generate(wit_bindgen_go::Opts::default().build(), resolve, world)?, &out.join("go"))?;
    Ok(())
}

fn generate(
    mut generator: Box<dyn WorldGenerator>,
    mut resolve: Resolve,
    world: WorldId,
) -> Result<Files, Box<dyn std::error::Error + Send + Sync>> {
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

fn write(files: &Files, folder: &Path) -> std::io::Result<()> {
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
