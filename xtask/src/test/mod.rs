//! `cargo xtask test`: what CI does, in one order, with one target directory. The steps
//! share their builds: clippy and the documentation the checks of dependencies, all tests
//! one development build of the whole workspace (always `--workspace`, so that features
//! are the same for each and nothing is built twice).

mod autobahn;
mod examples;
mod rebuilt;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tidegate_authoring::wasm_target;

use crate::{plugins, repository, tidy};

/// The suites that run against a Tidegate of their own choice.
const SUITES: &[&str] = &["e2e", "nginx_compat", "clients"];

/// Tells the harness where the program is that was built with the tests, for the cases that
/// always run the program; the others stay in the test's process.
const BUILT: &str = "TIDEGATE_TEST_PROGRAM";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these steps (comma between them)
    #[arg(long, value_delimiter = ',', value_name = "STEP")]
    only: Vec<String>,
    /// All but these steps
    #[arg(long, value_delimiter = ',', value_name = "STEP")]
    skip: Vec<String>,
    /// Name the steps and do nothing
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Outcome>,
}

enum Outcome {
    Done,
    /// Nothing to do, and why.
    Skipped(&'static str),
}

const STEPS: &[Step] = &[
    Step { name: "tools", what: "install nginx and real clients where missing", run: tools },
    Step { name: "fmt", what: "rustfmt", run: fmt },
    Step { name: "tidy", what: "file sizes, module edges, map, contract", run: tidy },
    Step { name: "clippy", what: "lints, warnings are errors", run: clippy },
    Step { name: "plugins", what: "committed components are as their sources", run: plugins },
    Step { name: "test", what: "unit, doc, e2e, nginx_compat, clients", run: test },
    Step { name: "examples", what: "example plugins and the ten-minute page", run: examples::run },
    Step { name: "binary", what: "the suites again, on the real binary", run: binary },
    Step {
        name: "autobahn",
        what: "Autobahn's cases through an inspecting relay, where there is a Python 2.7",
        run: autobahn::run,
    },
    Step { name: "rebuilt", what: "e2e on rebuilt plugins, where their bytes differ", run: rebuilt::run },
    Step { name: "doc", what: "rustdoc, warnings are errors", run: doc },
    Step { name: "deny", what: "licences, advisories, sources; where cargo-deny is installed", run: deny },
];

/// Run the command.
///
/// # Errors
/// The first step that fails, by name.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let known = |name: &&String| STEPS.iter().any(|step| step.name == name.as_str());
    if let Some(name) = arguments.only.iter().chain(&arguments.skip).find(|name| !known(name)) {
        bail!("no step {name:?}: cargo xtask test --list");
    }
    let chosen = STEPS.iter().filter(|step| {
        let named = |names: &[String]| names.iter().any(|name| name == step.name);
        (arguments.only.is_empty() || named(&arguments.only)) && !named(&arguments.skip)
    });
    if arguments.list {
        chosen.for_each(|step| eprintln!("{:<8} {}", step.name, step.what));
        return Ok(());
    }
    let mut done = Vec::new();
    for step in chosen {
        eprintln!("\n=== {}: {}", step.name, step.what);
        let begun = Instant::now();
        let outcome = (step.run)();
        let time = seconds(begun.elapsed());
        match outcome {
            Ok(Outcome::Done) => {
                eprintln!("=== {}: {time}", step.name);
                done.push(format!("{} {time}", step.name));
            }
            Ok(Outcome::Skipped(why)) => {
                eprintln!("=== {}: skipped: {why}", step.name);
                done.push(format!("{} skipped ({why})", step.name));
            }
            Err(error) => {
                let before = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
                return Err(error.context(format!("step {} failed after {time}; passed before: {before}", step.name)));
            }
        }
    }
    eprintln!("\nall passed: {}", done.join(", "));
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}

/// `cargo` at the root of the repository.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(wasm_target::cargo());
    command.current_dir(repository::root()).args(arguments);
    command
}

/// `cargo test` of the suites that start Tidegate.
fn suites(names: &[&str]) -> Command {
    let mut command = cargo(&["test", "--workspace"]);
    for name in names {
        command.args(["--test", name]);
    }
    command
}

fn tools() -> Result<Outcome> {
    tools::install().map(|()| Outcome::Done)
}

/// Run cargo in each plugin that is a workspace of its own, with one target directory for them.
fn apart(arguments: &[&str]) -> Result<()> {
    let root = repository::root();
    for folder in plugins::apart(&root)? {
        let mut command = cargo(arguments);
        repository::run(command.current_dir(folder).env("CARGO_TARGET_DIR", root.join("target/apart")))?;
    }
    Ok(())
}

fn fmt() -> Result<Outcome> {
    apart(&["fmt", "--check"])?;
    done(&mut cargo(&["fmt", "--all", "--check"]))
}

fn tidy() -> Result<Outcome> {
    tidy::run().map(|()| Outcome::Done)
}

fn clippy() -> Result<Outcome> {
    apart(&["clippy", "--all-targets", "--", "-D", "warnings"])?;
    done(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn plugins() -> Result<Outcome> {
    let own = std::env::current_exe().context("where is this program?")?;
    done(Command::new(own).current_dir(repository::root()).args(["plugins", "--check"]))
}

fn test() -> Result<Outcome> {
    apart(&["test"])?;
    let program = build_program()?;
    done(cargo(&["test", "--workspace"]).env(BUILT, program))
}

fn binary() -> Result<Outcome> {
    let program = build_program()?;
    done(suites(SUITES).env(BUILT, &program).env("TIDEGATE_BIN", program))
}

fn doc() -> Result<Outcome> {
    done(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Result<Outcome> {
    if repository::output(&mut cargo(&["deny", "--version"])).is_err() {
        return Ok(Outcome::Skipped("cargo-deny is not installed"));
    }
    let config = repository::root().join("deny.toml");
    apart(&["deny", "--all-features", "check", "--config", &config.to_string_lossy()])?;
    done(&mut cargo(&["deny", "--all-features", "check"]))
}

fn done(command: &mut Command) -> Result<Outcome> {
    repository::run(command).map(|()| Outcome::Done)
}

/// Build the program; where it is. `--tests` with it, because dependencies of tests decide
/// features of shared crates: the program alone would be another build of wasmtime.
fn build_program() -> Result<PathBuf> {
    repository::run(&mut cargo(&["build", "--workspace", "--bin", "tidegate", "--tests"]))?;
    Ok(repository::target()?.join(Path::new("debug/tidegate")))
}
