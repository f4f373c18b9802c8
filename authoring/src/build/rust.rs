//! Rust: over the SDK that the project carries.

use std::path::PathBuf;

use crate::component::componentize;
use crate::error::{Error, Result};
use crate::project::{Project, read};
use crate::{tool, wasm_target};

pub(super) fn rust(project: &Project) -> Result<Vec<u8>> {
    let Some(toolchain) = wasm_target::ready().into_iter().next() else {
        return Err(tool::missing(&format!("a Rust compiler for {}", wasm_target::TARGET), wasm_target::INSTALL));
    };
    let mut command = toolchain.cargo_build(&[]);
    command.current_dir(&project.folder).args(["--lib", "--target-dir"]);
    let target = match std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(chosen) => chosen,
        None if toolchain.builds_std() => shared_target().unwrap_or_else(|| project.path("build/target")),
        None => project.path("build/target"),
    };
    command.arg(&target);
    tool::run(&mut command)?;
    let file = format!("{}.wasm", project.name.replace('-', "_"));
    let core = target.join(wasm_target::TARGET).join(wasm_target::PROFILE).join(&file);
    if !core.is_file() {
        let problem =
            format!("cargo made no {file}: is the package's name {}, with `crate-type = [\"cdylib\"]`?", project.name);
        return Err(Error::Project { path: project.path("Cargo.toml"), problem });
    }
    componentize(&read(&core)?)
}

/// Where the standard library has to be built from source, that is done once for all projects.
fn shared_target() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("tidegate/wasm-target"))
}
