//! What can stop a run, and a short way to say where.

use std::io;
use std::path::PathBuf;

/// Why a run stopped. Nothing is measured around an error: the run ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// A program that is needed is not there.
    #[error("{program} not found: {hint}")]
    Missing {
        /// The program.
        program: String,
        /// How to get it.
        hint: &'static str,
    },
    /// A proxy ended or never answered.
    #[error("{subject} did not get ready: {why}\n{log}")]
    NotReady {
        /// Which proxy.
        subject: String,
        /// What was seen.
        why: String,
        /// The end of what it wrote.
        log: String,
    },
    /// A proxy or backend sent something else than the case expects.
    #[error("unexpected answer: {0}")]
    Answer(String),
    /// No operation was completed for a while.
    #[error("stalled: no operation completed for {0} s")]
    Stalled(u64),
    /// Building Tidegate failed.
    #[error("`cargo build --release -p tidegate` failed")]
    Build,
    /// The file to write has no place for the table.
    #[error("{0}: the markers `<!-- bench:begin -->` and `<!-- bench:end -->` are not there")]
    Markers(PathBuf),
    /// A file of `/proc` or another program's output reads differently than known.
    #[error("cannot read {0}")]
    Format(String),
}

/// The result of nearly everything here.
pub(crate) type Result<T> = std::result::Result<T, BenchError>;

/// Name what was being done when a system call failed.
pub(crate) trait Context<T> {
    /// `what` is a phrase such as "connect to nginx".
    fn during(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn during(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|e| BenchError::Io { what: what.into(), source: e.into() })
    }
}
