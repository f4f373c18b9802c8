//! Plugins without a proxy: cases that are run through the same plugin host code as requests are,
//! and the time that calls take. No server, no upstream, no wait.
//!
//! [`read`] reads a file of cases (`docs/plugins/testing.md` has its keys), [`Stand::run`]
//! and [`Stand::bench`] take it from there.

mod ask;
mod bench;
mod compare;
mod fakes;
mod file;
mod peers;
mod request;
mod run;
mod show;
mod stores;

use std::path::{Path, PathBuf};

pub use bench::{Timing, Timings};
pub use compare::Mismatch;
pub use file::{BadFile, Cases, read};
pub use run::{Outcome, Stand, Told};

/// What stands in the way before any case can run.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The file of cases.
    #[error(transparent)]
    File(#[from] BadFile),
    /// It names no component, and nobody else did.
    #[error("{}: `component` says which component it is about, or `--component`", .0.display())]
    NoComponent(PathBuf),
    /// The component.
    #[error("{}: {error}", path.display())]
    Plugin {
        /// Its file.
        path: PathBuf,
        /// Why it cannot be used.
        error: crate::plugin::PluginError,
    },
    /// The machine.
    #[error("{0}")]
    System(String),
    /// There is nothing to measure in this case.
    #[error("case `{case}`: {why}")]
    Case {
        /// The case's name.
        case: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The component that a file of cases is about.
///
/// # Errors
/// [`KitError::NoComponent`].
pub fn component_of(cases: &Cases, file: &Path, given: Option<&Path>) -> Result<PathBuf, KitError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let named = cases.component.as_ref().ok_or_else(|| KitError::NoComponent(file.to_owned()))?;
    Ok(file.parent().unwrap_or(Path::new(".")).join(named))
}
