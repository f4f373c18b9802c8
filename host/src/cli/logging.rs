//! The program's own log, and what it says to the terminal.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// Begin to log to standard error. `level` is a `tracing` filter: `info`, `tidegate=debug`.
///
/// # Errors
/// Where the filter cannot be read.
pub(super) fn start(level: &str) -> Result<(), super::Failed> {
    let filter = EnvFilter::try_new(level)?;
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second start in one process (tests) keeps the first.
    let _already = log.try_init();
    Ok(())
}

/// Print a line for the operator.
pub(super) fn say(text: &str) {
    // A closed standard output is the reader's choice.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// Print why a command failed.
pub(super) fn complain(error: &dyn std::error::Error) {
    let _closed = writeln!(std::io::stderr(), "{error}");
}
