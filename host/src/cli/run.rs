//! `tidegate run`

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Failed, logging};
use crate::config::{self, Config, Problems};
use crate::import::Options;
use crate::server::{Server, Signals, serve_until_signalled};

/// Where a configuration comes from.
pub(super) enum Text {
    File(PathBuf),
    /// Standard input is read once: a reload takes the same text again, with the files that
    /// it names read anew.
    Stdin(String),
    /// An nginx configuration, imported each time that it is loaded.
    Nginx(PathBuf, Options),
}

impl Text {
    /// A path, or `-`.
    ///
    /// # Errors
    /// Where standard input cannot be read.
    pub(super) fn from(path: &Path) -> Result<Self, Failed> {
        if path != Path::new("-") {
            return Ok(Self::File(path.to_owned()));
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(Self::Stdin(text))
    }

    pub(super) fn load(&self) -> Result<Config, Problems> {
        match self {
            Self::File(path) => config::load(path),
            Self::Stdin(text) => config::load_str(text, Path::new("."), "<stdin>"),
            Self::Nginx(file, options) => super::import::load(file, options),
        }
    }

    /// What it is called.
    pub(super) fn label(&self) -> String {
        match self {
            Self::File(path) | Self::Nginx(path, _) => path.display().to_string(),
            Self::Stdin(_) => "-".to_owned(),
        }
    }
}

/// Serve until a signal ends it.
pub(super) fn run(text: Result<Text, Failed>, pid_file: Option<PathBuf>) -> Result<(), Failed> {
    serve(text, pid_file, || Ok(()))
}

/// The same, with something to begin once signals are listened for and requests are served.
pub(super) fn serve(
    text: Result<Text, Failed>,
    pid_file: Option<PathBuf>,
    begin: impl FnOnce() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let text = text?;
    let config = text.load()?;
    logging::start(&config.server.log_level)?;
    let signals = Signals::catch()?;
    let server = Server::start(&config)?;
    let pid_file = PidFile::write(pid_file.or_else(|| config.server.pid_file.clone()))?;
    begin()?;
    serve_until_signalled(signals, server, || text.load());
    drop(pid_file);
    Ok(())
}

/// A file with the process id; removed at the end.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: Option<PathBuf>) -> Result<Self, Failed> {
        if let Some(path) = &path {
            fs::write(path, format!("{}\n", std::process::id()))
                .map_err(|e| format!("cannot write the pid file {}: {e}", path.display()))?;
        }
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Somebody else may have removed it.
            let _gone = fs::remove_file(path);
        }
    }
}
