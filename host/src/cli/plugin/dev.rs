//! `tidegate plugin dev`: a proxy that runs, and a plugin that is built anew whenever its sources change.

mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Signal, getpid, kill_process};

use super::super::run;
use super::{Failed, logging};
use watch::{Sources, Watch};

/// How long nothing may change before a build begins: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// What is to be developed.
#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The plugin's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The configuration to serve [default: `tidegate.toml` in the folder]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The command that builds the component, run by `sh` in the folder
    /// [default: `tidegate plugin build`]
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
}

/// Build, serve, and do both anew when something changes: sources are built and swapped in, a changed
/// configuration is reloaded. What does not build or load leaves the old in use.
///
/// # Errors
/// A first build that fails, or a configuration that cannot be served.
pub(super) fn dev(dev: &Dev) -> Result<(), Failed> {
    let folder = &dev.folder;
    let config = dev.config.clone().unwrap_or_else(|| folder.join("tidegate.toml"));
    let before = Sources::read(folder, &config);
    built(folder, dev.build.as_deref())?;
    let watch = Watch::start(folder, &config)?;
    let (folder, command) = (folder.clone(), dev.build.clone());
    let path = config.clone();
    run::serve(Ok(run::Text::File(config)), None, move || {
        let name = "tidegate-dev".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            follow(&watch, &folder, &path, command.as_deref(), before);
        })?;
        Ok(())
    })
}

/// Wait for changes until the process ends.
fn follow(watch: &Watch, folder: &Path, config: &Path, command: Option<&str>, before: Sources) {
    let mut known = before.with_new_of(&Sources::read(folder, config));
    let mut known_config = std::fs::read(config).ok();
    tracing::info!(folder = %folder.display(), files = known.count(), "watching");
    while wait(&watch.changes) {
        watch.renew();
        let now = Sources::read(folder, config);
        let now_config = std::fs::read(config).ok();
        let has_config_changed = now_config != known_config;
        known_config = now_config;
        if let Some(changed) = known.first_change(&now) {
            let changed = changed.display().to_string();
            let begun = Instant::now();
            let outcome = built(folder, command);
            // What the build itself has made is no change of the sources.
            known = now.with_new_of(&Sources::read(folder, config));
            match outcome {
                Ok(()) => tracing::info!(changed, took = ?begun.elapsed(), "built"),
                Err(error) => {
                    tracing::error!(changed, %error, "not built, the old plugin stays in use");
                    continue;
                }
            }
        } else if !has_config_changed {
            continue;
        }
        // As an operator would: the one way into a new configuration, which logs what became of it.
        if let Err(error) = kill_process(getpid(), Signal::HUP) {
            tracing::error!(%error, "cannot ask for a reload");
        }
    }
}

/// Wait for a change, and then until there are no more; false where none will ever come.
fn wait(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    loop {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Build the component. What the build says goes to the terminal.
fn built(folder: &Path, command: Option<&str>) -> Result<(), Failed> {
    let mut build = match command {
        Some(command) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(folder);
            shell
        }
        None => {
            let mut own = Command::new(std::env::current_exe()?);
            own.args(["plugin", "build"]).arg(folder);
            own
        }
    };
    let status = build.status().map_err(|error| format!("cannot build: {error}"))?;
    if status.success() {
        return Ok(());
    }
    if command.is_none() && status.code() == Some(2) {
        logging::complain(&*Failed::from("`--build COMMAND` says how to build it"));
    }
    Err(format!("the build failed: {status}").into())
}
