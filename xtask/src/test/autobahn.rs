//! Autobahn's test suite for WebSockets. It is written for Python 2.7, which Debian has no more:
//! where none is found, the step is left out and says so.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{BUILT, Outcome, build_program, cargo, done};
use crate::repository::{self, find};

/// Names a Python 2.7.
const NAMED: &str = "TIDEGATE_PYTHON2";

/// The version that the outcomes were looked at with.
const PACKAGE: &str = "autobahntestsuite==25.10.1";

/// Install it into `folder` where there is a Python 2.7, and it is missing. An interpreter that nobody keeps any
/// more is no reason to run no test at all: where that cannot be done, it is told.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn install(folder: &Path) -> Result<()> {
    let program = folder.join("wstest");
    if program.is_file() {
        return Ok(());
    }
    let Some(python) = python() else {
        eprintln!("no Python 2.7 was found for Autobahn's test suite ({NAMED} can name one): it is left out");
        return Ok(());
    };
    let packages = folder.join("packages");
    if let Err(error) = packages_of(&python, &packages) {
        eprintln!("Autobahn's test suite cannot be installed, so it is left out: {error:#}");
        return Ok(());
    }
    // By itself Python does not look for packages of a namespace there.
    let text = format!(
        "#!/bin/sh\nexec '{}' -c 'import site; site.addsitedir(\"{}\"); \
         from autobahntestsuite.wstest import run; run()' \"$@\"\n",
        python.display(),
        packages.display()
    );
    // At its place only once it can run: its presence says that all is there.
    let unfinished = folder.join("wstest.new");
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o755)))
        .and_then(|()| std::fs::rename(&unfinished, &program))
        .with_context(|| format!("cannot write {}", program.display()))
}

fn packages_of(python: &Path, packages: &Path) -> Result<()> {
    if repository::output(Command::new(python).args(["-m", "pip", "--version"])).is_err() {
        repository::run(Command::new(python).args(["-m", "ensurepip", "--user"]))?;
    }
    let options = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"];
    repository::run(Command::new(python).args(options).arg(packages).arg(PACKAGE))
}

/// Run the cases, where it is installed.
///
/// # Errors
/// A case is worse through the relay.
pub(super) fn run() -> Result<Outcome> {
    if !repository::target()?.join("test-tools/autobahn/wstest").is_file() {
        return Ok(Outcome::Skipped("there is no Python 2.7 with it"));
    }
    let program = build_program()?;
    let mut command = cargo(&["test", "--workspace", "--test", "autobahn"]);
    // All of them take far more than a quarter of an hour, most of it deflate; some, minutes on a busy machine.
    let patience = if std::env::var_os("TIDEGATE_AUTOBAHN").is_some() { "7200" } else { "120" };
    command.env("TIDEGATE_TEST_PATIENCE", patience);
    done(command.env(BUILT, &program).env("TIDEGATE_BIN", &program))
}

/// A Python 2.7: the one that is named, or of the system, or of pyenv.
fn python() -> Option<PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let of_pyenv = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let of_pyenv = of_pyenv.into_iter().flatten().flatten().map(|version| version.path().join("bin/python2.7"));
    let named = std::env::var_os(NAMED).map(PathBuf::from);
    let all = named.into_iter().chain(["python2.7", "python2"].into_iter().filter_map(find)).chain(of_pyenv);
    // pyenv's shims are there even where they lead to nothing.
    let is_one = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import sys; print(sys.version_info[:2])"]).output();
        asked.is_ok_and(|asked| asked.stdout.starts_with(b"(2, 7)"))
    };
    all.into_iter().find(is_one)
}
