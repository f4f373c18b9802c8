//! From a project to its component, by its language's own tools.

mod native;
mod rust;
mod script;

use std::path::{Path, PathBuf};

use crate::Language;
use crate::error::Result;
use crate::project::{Project, write};

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The plugin's name.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// Where it is: `NAME.wasm` in the project.
    pub component: PathBuf,
    /// Its size, bytes.
    pub size: usize,
}

/// Build the project in `folder`: bindings, the language's compiler, the component.
///
/// # Errors
/// No project, a tool that is missing (with the command that brings it) or that fails (with what it
/// wrote), or a module that does not fit the project's world.
pub fn build(folder: &Path) -> Result<Built> {
    let project = Project::open(folder)?;
    let bytes = match project.language {
        Language::Rust => rust::rust(&project),
        Language::C => native::c(&project),
        Language::Cpp => native::cpp(&project),
        Language::Zig => native::zig(&project),
        Language::JavaScript => script::javascript(&project, "src/plugin.js"),
        Language::TypeScript => script::typescript(&project),
        Language::Python => script::python(&project),
        Language::Go => script::go(&project),
        Language::AssemblyScript => script::assemblyscript(&project),
    }?;
    let component = project.path(&format!("{}.wasm", project.name));
    write(&component, &bytes)?;
    Ok(Built { name: project.name, language: project.language, component, size: bytes.len() })
}
