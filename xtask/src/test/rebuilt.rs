//! The same suite on plugins that were built here. Another compiler than the one that made
//! the committed components gives other bytes; then behaviour has to be the same.
//!
//! The host embeds what stands in `plugins/dist`. So that no committed file is touched, the
//! suite is built from a copy of the repository under `target/`, with the rebuilt components
//! in their place; dependencies come from the one target directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{BUILT, Outcome, build_program, cargo, done, suites};
use crate::repository;

pub(super) fn run() -> Result<Outcome> {
    let target = repository::target()?;
    let built = components(&target.join("wasm/checked/plugins"));
    if built.is_empty() {
        return Ok(Outcome::Skipped("nothing was built: run step plugins"));
    }
    if built.iter().all(|file| is_as_committed(file)) {
        return Ok(Outcome::Skipped("same bytes"));
    }
    let copy = target.join("rebuilt");
    copy_repository(&copy)?;
    for file in &built {
        let name = file.file_name().unwrap_or_default();
        copy_file(file, &copy.join("plugins/dist").join(name))?;
    }
    let outcome = on_copy(&copy, &target);
    // The program in the target directory is the copy's now: put the repository's back.
    build_program()?;
    outcome
}

fn on_copy(copy: &Path, target: &Path) -> Result<Outcome> {
    let mut build = cargo(&["build", "--workspace", "--bin", "tidegate", "--tests"]);
    repository::run(build.current_dir(copy).env("CARGO_TARGET_DIR", target))?;
    let mut suite = suites(&["e2e"]);
    suite.current_dir(copy).env("CARGO_TARGET_DIR", target).env(BUILT, target.join("debug/tidegate"));
    done(&mut suite)
}

fn is_as_committed(file: &Path) -> bool {
    let committed = repository::root().join("plugins/dist").join(file.file_name().unwrap_or_default());
    matches!((std::fs::read(committed), std::fs::read(file)), (Ok(a), Ok(b)) if a == b)
}

fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect()
}

/// Every file that git knows or would add.
fn copy_repository(to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    for file in repository::files(&[""])? {
        copy_file(&repository::root().join(&file), &to.join(&file))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
