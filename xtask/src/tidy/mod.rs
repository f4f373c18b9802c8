//! `cargo xtask tidy`: rules of the house that no lint knows. All problems at once.

mod edges;
mod map;
mod nginx;
mod sizes;
mod source;
mod words;

use anyhow::{Result, bail};

use crate::wit;

/// Run the command.
///
/// # Errors
/// A rule is broken: one line for each place.
pub(crate) fn run() -> Result<()> {
    let mut problems = Vec::new();
    for rule in [sizes::problems, edges::problems, map::problems, nginx::problems, words::problems, wit::problems] {
        problems.extend(rule()?);
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} to tidy\n{}", problems.len(), problems.join("\n"))
}
