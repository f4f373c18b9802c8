//! `tidegate import`, and nginx configurations for `tidegate run`.

use std::path::{Path, PathBuf};

use super::{Failed, logging};
use crate::config::{self, Config, Problem, Problems};
use crate::import::{self, Finding, Imported, Options, Severity};

/// What the command line says of an import.
pub(super) fn options(prefix: Option<PathBuf>, globals: String, lenient: bool) -> Options {
    Options { prefix, globals, lenient }
}

/// Print the configuration that means what a file means.
///
/// # Errors
/// Where a directive has no equal; what has one is printed all the same.
pub(super) fn import(file: &Path, options: &Options) -> Result<(), Failed> {
    let imported = import::import(file, options);
    logging::say(imported.text.trim_end());
    tell(&imported);
    match errors(&imported) {
        0 => Ok(()),
        errors => Err(format!("{}: {errors} without an equal; --lenient leaves them out", file.display()).into()),
    }
}

/// Run both programs and print what differs.
///
/// # Errors
/// Where something differs, or one of them does not run.
pub(super) fn compare(file: &Path, options: &Options, nginx: PathBuf) -> Result<(), Failed> {
    let comparison = import::compare(file, options, &import::Setting { nginx, cache_dir: None })?;
    logging::say(&comparison.to_string());
    match comparison.differences() {
        0 => Ok(()),
        number => Err(format!("{}: {number} differences", file.display()).into()),
    }
}

/// The configuration that an nginx configuration means, ready to be served.
///
/// # Errors
/// What has no equal, or what is wrong with the result.
pub(super) fn load(file: &Path, options: &Options) -> Result<Config, Problems> {
    let imported = import::import(file, options);
    tell(&imported);
    let errors: Vec<Problem> =
        imported.findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.problem.clone()).collect();
    match Problems::new(errors) {
        Some(problems) => Err(problems),
        None => {
            config::load_str(&imported.text, import::folder_of(file), &format!("<imported from {}>", file.display()))
        }
    }
}

/// What the operator should know; errors come last, as why the command failed.
fn tell(imported: &Imported) {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Line<'f>(&'f Finding);
    for finding in &imported.findings {
        logging::complain(&Line(finding));
    }
}

fn errors(imported: &Imported) -> usize {
    imported.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}
