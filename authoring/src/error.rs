//! What can go wrong between a template and a component.

use std::io;
use std::path::{Path, PathBuf};

/// Why a project was not made or not built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `make`.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A name that cannot be a plugin's.
    #[error("{0:?} is no name for a plugin: a lower-case letter, then lower-case letters, digits and single -")]
    Name(String),
    /// The folder of a new project has files.
    #[error("{} is there already: nothing was written", .0.display())]
    Exists(PathBuf),
    /// A project's `plugin.toml`.
    #[error("{}: {problem}", path.display())]
    Project {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A tool is not here.
    #[error("{what} is missing: run\n  {install}")]
    Missing {
        /// What is missing, and where it was looked for.
        what: String,
        /// The command that brings it.
        install: String,
    },
    /// A tool was run and failed.
    #[error("{output}\n{command}: {status}")]
    Failed {
        /// What was run.
        command: String,
        /// What it wrote.
        output: String,
        /// How it ended.
        status: String,
    },
    /// What stands in `wit/`.
    #[error("wit/: {0}")]
    Contract(String),
    /// The built module cannot be a component.
    #[error("the module cannot become a component: {0}")]
    Component(String),
}

impl Error {
    /// For `map_err`: the file or folder that something was tried with.
    pub(crate) fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::Io { what, path: path.to_owned(), error }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
