//! Which compiler builds for wasm32, wherever this runs, and how it is called.
//!
//! In this order: the active toolchain, if it has a standard library for the target;
//! the same after `rustup target add` (it changes the toolchain, so
//! `TIDEGATE_NO_RUSTUP=1` forbids it); the active toolchain with its own `rust-src`;
//! Debian's `rustc-web` with `rust-web-src`, which root may have installed. Those with a
//! source build the standard library from it, as a stable compiler does when
//! `RUSTC_BOOTSTRAP=1` is set.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The target of every plugin: no operating system, not even WASI's.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The profile that [`Toolchain::cargo_build`] builds with, which names the folder of what it makes.
pub const PROFILE: &str = "plugin";

/// What brings a compiler, where there is none.
pub const INSTALL: &str = "rustup target add wasm32-unknown-unknown\nor, where rustup cannot be used,\n  apt-get install \
                           rustc-web rust-web-src";

/// Where Debian's `rustc-web` puts its compiler.
const DEBIAN: &str = "/usr/bin/rustc";

/// A compiler that can build for [`TARGET`].
#[derive(Debug)]
pub struct Toolchain {
    rustc: PathBuf,
    sysroot: PathBuf,
    /// Where the standard library is built from source: the linker to use then.
    build_std: Option<PathBuf>,
}

/// Find a compiler, or install what is missing where that is allowed. Where several are
/// there already, the one that `noted` is the identity of comes first, so that committed
/// components are built by what built them before. `TIDEGATE_WASM_RUSTC` says which
/// compiler to take, whatever else there is.
///
/// # Errors
/// There is none; the message says which commands would bring one.
pub fn find(noted: Option<&str>) -> Result<Toolchain> {
    if let Some(chosen) = std::env::var_os("TIDEGATE_WASM_RUSTC").filter(|value| !value.is_empty()) {
        let chosen = PathBuf::from(chosen);
        return candidate(&chosen)?.with_context(|| format!("{} cannot build for {TARGET}", chosen.display()));
    }
    let active = active();
    let mut ready = ready();
    if let Some(noted) = noted
        && let Some(same) = ready.iter().position(|toolchain| toolchain.identity().is_ok_and(|own| own == noted))
    {
        return Ok(ready.swap_remove(same));
    }
    // Nothing is compiled twice where a standard library is there or can be had.
    let has_prebuilt = ready.first().is_some_and(|toolchain| toolchain.build_std.is_none());
    if !has_prebuilt && rustup_allowed() && rustup_target_add() {
        ready.splice(..0, candidate(&active)?);
    }
    if ready.is_empty() && apt_install() {
        ready.extend(candidate(Path::new(DEBIAN))?);
    }
    ready.into_iter().next().with_context(|| format!("no compiler here builds for {TARGET}: run\n  {INSTALL}"))
}

/// The compilers that are here and can build for [`TARGET`], the active toolchain's first. Nothing is installed.
#[must_use]
pub fn ready() -> Vec<Toolchain> {
    [active(), DEBIAN.into()].iter().filter_map(|rustc| candidate(rustc).ok().flatten()).collect()
}

fn active() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}

/// What this compiler can be used as: with its own standard library, or else with its
/// source.
fn candidate(rustc: &Path) -> Result<Option<Toolchain>> {
    let Some(sysroot) = sysroot(rustc) else { return Ok(None) };
    let build_std = if has_std(&sysroot) {
        None
    } else if has_source(&sysroot) {
        Some(linker(&sysroot).context("no linker for wasm: apt-get install lld, or rustup's toolchain")?)
    } else {
        return Ok(None);
    };
    Ok(Some(Toolchain { rustc: rustc.to_path_buf(), sysroot, build_std }))
}

impl Toolchain {
    /// A `cargo build` for the target with this compiler: same input, same bytes,
    /// wherever the sources and the caches of cargo stand. `roots` are folders of
    /// sources and the names that stand for them in the output.
    pub fn cargo_build(&self, roots: &[(&Path, &str)]) -> Command {
        let mut command = Command::new(cargo());
        // What the caller's environment says about builds would change the bytes.
        for (name, _) in std::env::vars_os() {
            if let Some(text) = name.to_str()
                && changes_builds(text)
            {
                command.env_remove(name);
            }
        }
        let mut flags = Vec::new();
        let source = self.sysroot.join("lib/rustlib/src/rust");
        let cargo_home = cargo_home();
        let known = [(source.as_path(), "/rust"), (cargo_home.as_path(), "/cargo")];
        for (from, to) in known.iter().chain(roots) {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        command.arg("build").args(["--target", TARGET, "--profile", PROFILE]);
        for setting in [
            "inherits='release'",
            "opt-level=3",
            "lto='fat'",
            "codegen-units=1",
            "panic='abort'",
            "strip=true",
            "debug=false",
            "incremental=false",
        ] {
            command.arg("--config").arg(format!("profile.plugin.{setting}"));
        }
        command.env("RUSTC", &self.rustc);
        if let Some(linker) = &self.build_std {
            command.env("RUSTC_BOOTSTRAP", "1");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }

    /// Whether the standard library is built from its source, which takes a minute.
    #[must_use]
    pub fn builds_std(&self) -> bool {
        self.build_std.is_some()
    }

    /// What decides the bytes besides the sources: lines for `plugins/dist/COMPILER`.
    ///
    /// # Errors
    /// One of the tools does not tell its version.
    pub fn identity(&self) -> Result<String> {
        let rustc = first_line(Command::new(&self.rustc).arg("-V"))?;
        let cargo = first_line(Command::new(cargo()).arg("-V"))?;
        let rest = match &self.build_std {
            None => "std prebuilt, linker its own".to_owned(),
            Some(linker) => {
                let flavour: &[&str] =
                    if is_rust_lld(linker) { &["-flavor", "wasm", "--version"] } else { &["--version"] };
                format!("std built from source, linker {}", first_line(Command::new(linker).args(flavour))?)
            }
        };
        Ok(format!("{rustc}\n{cargo}\n{rest}\n"))
    }
}

/// `cargo`, the one that runs this program if any.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into()
}

fn cargo_home() -> PathBuf {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => home.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
    }
}

/// Whether an environment variable changes what cargo builds, rather than how.
fn changes_builds(name: &str) -> bool {
    matches!(name, "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "CARGO_INCREMENTAL" | "RUSTC_BOOTSTRAP")
        || name.starts_with("CARGO_PROFILE_")
        || name.starts_with("CARGO_TARGET_")
        || (name.starts_with("CARGO_BUILD_") && name != "CARGO_BUILD_JOBS")
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn first_line(command: &mut Command) -> Result<String> {
    let text = output(command).with_context(|| format!("cannot run {command:?}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    output(Command::new(rustc).args(["--print", "sysroot"])).map(|text| text.trim().into())
}

fn has_std(sysroot: &Path) -> bool {
    let folder = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
    })
}

fn has_source(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
}

/// `rust-lld` of the active toolchain or of this one, or the system's newest `wasm-ld`.
/// Not the wrapper `gcc-ld/wasm-ld`: it rejects the `-flavor wasm` that rustc passes.
fn linker(own: &Path) -> Option<PathBuf> {
    let active = sysroot(Path::new("rustc"));
    for sysroot in active.iter().map(PathBuf::as_path).chain([own]) {
        let hosts = sysroot.join("lib/rustlib").read_dir().ok();
        let tool = hosts.into_iter().flatten().flatten().map(|host| host.path().join("bin/rust-lld"));
        if let Some(found) = tool.into_iter().find(|path| path.is_file()) {
            return Some(found);
        }
    }
    let path = std::env::var_os("PATH")?;
    let version = |path: &PathBuf| -> Option<u32> {
        match path.file_name()?.to_str()?.strip_prefix("wasm-ld")? {
            "" => Some(0),
            version => version.strip_prefix('-')?.parse().ok(),
        }
    };
    let tools = std::env::split_paths(&path).filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    tools.map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(|path| version(path))
}

fn is_rust_lld(linker: &Path) -> bool {
    linker.file_name() == Some(OsStr::new("rust-lld"))
}

fn rustup_allowed() -> bool {
    !std::env::var_os("TIDEGATE_NO_RUSTUP").is_some_and(|value| !value.is_empty() && value != "0")
        && output(Command::new("rustup").arg("--version")).is_some()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    eprintln!("running: {program} {}", arguments.join(" "));
    // Its output is for the reader, and standard output is ours.
    Command::new(program).args(arguments).stdout(std::io::stderr()).status().is_ok_and(|status| status.success())
}

fn rustup_target_add() -> bool {
    run("rustup", &["target", "add", TARGET])
}

/// Only where it is Debian's way and needs no password.
fn apt_install() -> bool {
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !is_root || !Path::new("/etc/debian_version").is_file() {
        return false;
    }
    let install = ["install", "-y", "--no-install-recommends", "rustc-web", "rust-web-src"];
    run("apt-get", &install) || (run("apt-get", &["update"]) && run("apt-get", &install))
}
