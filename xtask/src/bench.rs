//! `cargo xtask bench`: the benchmark, in release.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use tidegate_authoring::wasm_target;

use crate::repository;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For tidegate-bench; `cargo xtask bench -- --help` shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Run the command.
///
/// # Errors
/// It does not build, or stops.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut command = Command::new(wasm_target::cargo());
    command.current_dir(repository::root()).args(["run", "--release", "-p", "tidegate-bench", "--"]);
    repository::run(command.args(&arguments.rest))
}
