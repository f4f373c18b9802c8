//! Where things are, and how other programs are run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the repository: the folder above this crate's.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Cargo's target directory: the one that this program was built into.
pub(crate) fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("where is this program?")?;
    // target/debug/xtask
    program.ancestors().nth(2).map(Path::to_path_buf).context("this program is in no target directory")
}

/// A program's path: looked up in `PATH` and where Debian puts servers.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Run a command to its end; an error where it fails.
///
/// # Errors
/// It cannot be started, or says that it failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// A command's standard output.
///
/// # Errors
/// It cannot be started, or says that it failed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown}: no text"))
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The files of the repository whose names end so, tracked ones and new ones, sorted,
/// relative to its root.
///
/// # Errors
/// git cannot tell.
pub(crate) fn files(endings: &[&str]) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
    let mut files: Vec<String> = output(&mut git)?.lines().map(str::to_owned).collect();
    // A file that was deleted and not yet committed is still listed.
    files.retain(|file| endings.iter().any(|end| file.ends_with(end)) && root().join(file).is_file());
    files.sort();
    Ok(files)
}

/// A file's text.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))
}
