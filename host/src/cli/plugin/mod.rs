//! `tidegate plugin …`: for authors of plugins. One file for each command.

mod inspect;

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failed, logging};

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the hooks, imports, contract version and size of a component.
    Inspect {
        /// The component.
        component: PathBuf,
    },
}

/// Run one.
///
/// # Errors
/// What to print.
pub(super) fn run(command: &Command) -> Result<(), Failed> {
    match command {
        Command::Inspect { component } => inspect::inspect(component),
    }
}
