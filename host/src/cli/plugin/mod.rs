//! `tidegate plugin …`: for authors of plugins. One file for each command.

mod bench;
mod build;
mod dev;
mod inspect;
mod new;
mod test;

use clap::Subcommand;

use super::{Failed, logging};

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Begin a project, in one of nine languages.
    New(new::New),
    /// Make the component of a project: bindings, compiler and all.
    Build(build::Build),
    /// Show what a component is: hooks, imports and grants, configuration, size; or how two differ.
    Inspect(inspect::Inspect),
    /// Run cases: a request or message in, a decision and edits out. No server, no upstream.
    Test(test::Test),
    /// Measure how long the calls of such cases take, and how long an instance takes to start.
    Bench(bench::Bench),
    /// Serve a configuration, and build and swap the plugin whenever its sources change.
    Dev(dev::Dev),
}

/// Run one.
///
/// # Errors
/// What to print.
pub(super) fn run(command: &Command) -> Result<(), Failed> {
    match command {
        Command::New(what) => new::new(what),
        Command::Build(what) => build::build(what),
        Command::Inspect(what) => inspect::inspect(what),
        Command::Test(what) => test::test(what),
        Command::Bench(what) => bench::bench(what),
        Command::Dev(what) => dev::dev(what),
    }
}
