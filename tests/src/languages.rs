//! The templates of `tidegate plugin new`, built: the same plugin in each language.

use std::path::PathBuf;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tidegate_authoring::{Language, build, digest_of, new};

use crate::tools::{target_dir, tools_dir};

/// The component of a language's template. It is built by the first test that asks, and kept in
/// `target/test-cache` for as long as its sources and tools stay the same.
#[track_caller]
pub fn component(language: Language) -> PathBuf {
    static BUILT: [OnceLock<Result<PathBuf, String>>; Language::ALL.len()] =
        [const { OnceLock::new() }; Language::ALL.len()];
    let of = Language::ALL.iter().position(|other| *other == language).expect("a language");
    match BUILT[of].get_or_init(|| built(language)) {
        Ok(path) => path.clone(),
        Err(problem) => panic!("{language} is not built; `cargo xtask test` installs what is missing\n{problem}"),
    }
}

fn built(language: Language) -> Result<PathBuf, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let kept = target_dir().join("test-cache/languages");
    let component = kept.join(format!("{language}-{:016x}.wasm", digest_of(language)));
    if component.is_file() {
        return Ok(component);
    }
    // One compiler at a time: several would only get into each other's way.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock();
    std::fs::create_dir_all(&kept).map_err(|error| said(&error))?;
    // Below the tools, where projects find them as they find their own.
    let parent = tools_dir().join(format!("languages/{}", std::process::id()));
    let (project, _) = new(language, &format!("doorman-{language}"), &parent).map_err(|error| said(&error))?;
    let made = build(&project).map_err(|error| said(&error))?;
    // In one step: another test's process may look for it.
    let part = kept.join(format!("{language}-{}.part", std::process::id()));
    std::fs::copy(&made.component, &part).map_err(|error| said(&error))?;
    std::fs::rename(&part, &component).map_err(|error| said(&error))?;
    let _scratch = std::fs::remove_dir_all(&project);
    let _empty = std::fs::remove_dir(&parent);
    Ok(component)
}
