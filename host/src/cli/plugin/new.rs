//! `tidegate plugin new`

use std::path::PathBuf;

use clap::Args;
use tidegate_authoring::{Language, new as make};

use super::{Failed, logging};

/// What is to be begun.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// rust, c, cpp, js, ts, python, go, zig or as
    #[arg(short, long, value_name = "LANGUAGE")]
    lang: Language,
    /// Its name, and its folder's.
    name: String,
    /// Where to put the folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
}

/// Write a project.
///
/// # Errors
/// A name that cannot be, a folder that is there already, a disk that is full.
pub(super) fn new(new: &New) -> Result<(), Failed> {
    let (folder, files) = make(new.lang, &new.name, &new.path)?;
    let own: Vec<&str> = files.iter().map(String::as_str).filter(|file| !is_brought(file)).collect();
    logging::say(&format!(
        "{}: {}\nnext: tidegate plugin build {}",
        folder.display(),
        own.join(", "),
        new.path.join(&new.name).display()
    ));
    Ok(())
}

/// The contract and the SDK, which nobody edits.
fn is_brought(file: &str) -> bool {
    file.starts_with("sdk/") || file.starts_with("wit/deps/") || file.starts_with("wit/v0.1/")
}
