//! `tidegate plugin build`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Failed, logging};

/// What is to be built.
#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The project: where its `plugin.toml` is.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

/// Make the component of a project.
///
/// # Errors
/// What is wrong with the project, which tool is missing and what brings it, or what a tool said.
pub(super) fn build(build: &Build) -> Result<(), Failed> {
    let begun = Instant::now();
    let built = tidegate_authoring::build(&build.folder)?;
    let (language, time) = (built.language.title(), begun.elapsed().as_secs_f64());
    logging::say(&format!("{}: {} bytes of {language} in {time:.1} s", built.component.display(), built.size));
    Ok(())
}
