//! `cargo xtask tidy`: rules of the house that no lint knows. All problems at once.

mod edges;
mod frozen;
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
    let rules = [
        sizes::problems,
        edges::problems,
        map::problems,
        nginx::problems,
        words::problems,
        wit::problems,
        frozen::problems,
    ];
    for rule in rules {
        problems.extend(rule()?);
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} to tidy\n{}", problems.len(), problems.join("\n"))
}
