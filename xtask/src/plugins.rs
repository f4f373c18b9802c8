//! `cargo xtask plugins`: plugin crates into components.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tidegate_authoring::componentize;
use tidegate_authoring::wasm_target::{self, Toolchain};

/// Where the compiler that made the committed components is noted.
const COMPILER: &str = "COMPILER";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build into target/ and compare with the committed components instead: the same
    /// compiler must give the same bytes, another one is only reported
    #[arg(long, conflicts_with_all = ["path", "output"])]
    check: bool,
    /// Build the plugin crate in this folder instead of the stock plugins
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Where to write the component [default: DIR/PACKAGE.wasm]
    #[arg(short, long, value_name = "FILE", requires = "path")]
    output: Option<PathBuf>,
}

/// Run the command.
///
/// # Errors
/// No compiler, a crate that does not build or is no plugin, or with `--check` bytes
/// that differ from the committed ones.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.path {
        Some(folder) => build_one(&wasm_target::find(None)?, folder, arguments.output.as_deref()),
        None => {
            let root = repository();
            stock(&root, "plugins", arguments.check)?;
            stock(&root, "tests/guests", arguments.check)
        }
    }
}

/// The root of this repository: the folder above this crate's. Cargo says at run time
/// where that is; what it said at compile time may be another checkout's that shares
/// the target folder.
fn repository() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().unwrap_or(&own).to_path_buf()
}

/// All crates in a folder of the repository, each into `dist/NAME.wasm` there.
fn stock(root: &Path, folder: &str, check: bool) -> Result<()> {
    let folder = root.join(folder);
    let workspace = Workspace::of(root)?;
    let mut crates: Vec<PathBuf> = workspace.packages.iter().map(|package| package.folder().to_path_buf()).collect();
    crates.retain(|path| path.parent() == Some(folder.as_path()));
    if crates.is_empty() {
        return Ok(());
    }
    let committed = folder.join("dist");
    let noted = std::fs::read_to_string(committed.join(COMPILER)).unwrap_or_default();
    let toolchain = wasm_target::find(Some(&noted))?;
    let identity = toolchain.identity()?;
    let out = if check {
        workspace.target_directory.join("wasm/checked").join(folder.file_name().unwrap_or_default())
    } else {
        committed.clone()
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut different = Vec::new();
    let mut components = build(&toolchain, &workspace, &crates)?;
    for own in apart(root)?.into_iter().filter(|path| path.parent() == Some(folder.as_path())) {
        components.extend(build(&toolchain, &Workspace::of(&own)?, std::slice::from_ref(&own))?);
    }
    for (path, component) in components {
        let file = format!("{}.wasm", path.file_name().unwrap_or_default().to_string_lossy());
        let same = std::fs::read(committed.join(&file)).is_ok_and(|bytes| bytes == component);
        write(&out.join(&file), &component)?;
        let note = if same { "as before" } else { "not as before" };
        eprintln!("{} {} bytes, {note}", out.join(&file).display(), component.len());
        if !same {
            different.push(file);
        }
    }
    match (check, different.is_empty(), noted == identity) {
        (false, ..) => write(&committed.join(COMPILER), identity.as_bytes()),
        (true, true, _) => Ok(()),
        (true, false, true) => {
            bail!("{}: {} not as their sources: run `cargo xtask plugins`", committed.display(), different.join(", "))
        }
        (true, false, false) => {
            eprintln!("another compiler made what is committed, so bytes may differ.\nthen:\n{noted}now:\n{identity}");
            Ok(())
        }
    }
}

/// Stock plugins that are workspaces of their own: their dependencies are those of the proxy, too, and would
/// there get features that nobody has use for.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn apart(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("plugins")).context("no folder plugins")? {
        let folder = entry?.path();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.lines().any(|line| line == "[workspace]") {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

/// Any plugin crate.
fn build_one(toolchain: &Toolchain, folder: &Path, output: Option<&Path>) -> Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
    let workspace = Workspace::of(&folder)?;
    let components = build(toolchain, &workspace, std::slice::from_ref(&folder))?;
    let (_, component) = components.first().context("cargo built nothing")?;
    let name = workspace.package(&folder)?.name.as_str();
    let file = output.map_or_else(|| folder.join(format!("{name}.wasm")), Path::to_path_buf);
    write(&file, component)?;
    eprintln!("{} {} bytes", file.display(), component.len());
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

/// What cargo knows of a workspace: `cargo metadata`.
#[derive(Deserialize)]
struct Workspace {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// A line of `cargo build --message-format json`: something that it made.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

impl Workspace {
    /// The workspace that the crate in `folder` belongs to.
    fn of(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let mut command = Command::new(wasm_target::cargo());
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        if !output.status.success() {
            bail!("cargo cannot read {}", manifest.display());
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata")
    }

    fn package(&self, folder: &Path) -> Result<&Package> {
        let found = self.packages.iter().find(|package| package.folder() == folder);
        found.with_context(|| format!("{} is no crate", folder.display()))
    }
}

/// Build these crates of the workspace in one go, and make components of them.
fn build(toolchain: &Toolchain, workspace: &Workspace, crates: &[PathBuf]) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let target = workspace.target_directory.join("wasm");
    let roots =
        [(repository(), "/tidegate"), (workspace.workspace_root.clone(), "/plugin"), (target.clone(), "/target")];
    let mut roots: Vec<_> = roots.iter().map(|(path, name)| (path.as_path(), *name)).collect();
    if workspace.workspace_root == repository() {
        roots.remove(1);
    }
    let mut command = toolchain.cargo_build(&roots);
    command.current_dir(&workspace.workspace_root).arg("--lib").arg("--target-dir").arg(&target);
    command.args(["--message-format", "json-render-diagnostics"]);
    for folder in crates {
        command.args(["--package", &workspace.package(folder)?.name]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the build failed");
    }
    let artifacts = artifacts(&output.stdout);
    let mut components = Vec::new();
    for folder in crates {
        let manifest = folder.join("Cargo.toml");
        let wasm = artifacts.iter().find(|(of, _)| *of == manifest).map(|(_, wasm)| wasm);
        let wasm = wasm.with_context(|| format!("{}: `crate-type` has no \"cdylib\"", manifest.display()))?;
        let core = std::fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
        components.push((folder.clone(), componentize(&core).with_context(|| format!("{}", folder.display()))?));
    }
    Ok(components)
}

/// The modules that cargo says it made: the crate's manifest and the file.
fn artifacts(messages: &[u8]) -> Vec<(PathBuf, PathBuf)> {
    let lines = messages.split(|byte| *byte == b'\n');
    // Other kinds of messages have other keys.
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
    artifacts.filter_map(|made| Some((made.manifest_path, made.filenames.into_iter().find(is_wasm)?))).collect()
}
