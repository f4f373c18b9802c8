//! What the tests need besides Rust: servers and real clients, by package name. Nothing is
//! installed that is there already.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tidegate_authoring::{APT, NPM, PIP};

use crate::repository::{self, find};

/// Programs and the Debian packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("chromium", "chromium"),
    ("pebble", "pebble"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("nghttp", "nghttp2-client"),
    ("openssl", "openssl"),
    ("redis-server", "redis-server"),
];

/// nginx's `stream`, which Debian has in a package of its own.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Install what is missing.
///
/// # Errors
/// A package manager fails, or may not be used.
pub(super) fn install() -> Result<()> {
    let mut missing: Vec<&str> =
        PACKAGES.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if !has_venv() {
        missing.push("python3-venv");
    }
    if !Path::new(NGINX_STREAM).is_file() {
        missing.push("libnginx-mod-stream");
    }
    if !has_c_for_wasm() {
        missing.extend(APT);
    }
    if !missing.is_empty() {
        apt(&missing)?;
    }
    let folder = repository::target()?.join("test-tools");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    npm(&folder)?;
    python(&folder.join("venv"))?;
    super::autobahn::install(&folder.join("autobahn"))
}

/// The client `ws`, and what makes plugins of JavaScript, TypeScript and AssemblyScript.
fn npm(folder: &Path) -> Result<()> {
    let modules = folder.join("node_modules");
    let has = |package: &str, version: &str| {
        let manifest = std::fs::read(modules.join(package).join("package.json")).unwrap_or_default();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
        manifest.get("version").and_then(serde_json::Value::as_str).is_some_and(|is| is.starts_with(version))
    };
    let wanted = NPM.iter().map(|(package, version, _)| (*package, *version)).chain([("ws", "8")]);
    let missing: Vec<String> = wanted
        .filter(|(package, version)| !has(package, version))
        .map(|(package, version)| format!("{package}@{version}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(folder).args(missing);
    repository::run(&mut npm)
}

/// Whether there is what `tidegate plugin build` makes C and C++ with.
fn has_c_for_wasm() -> bool {
    find("clang++-22").is_some()
        && find("wasm-ld-22").is_some()
        && ["libc.a", "libc++.a"].iter().all(|library| Path::new("/usr/lib/wasm32-wasi").join(library).is_file())
}

/// Python's clients: what is imported, and what it is installed by.
const MODULES: &[(&str, &str)] = &[
    ("websockets", "websockets"),
    ("h2", "h2"),
    ("httpx", "httpx[http2]"),
    ("aioquic", "aioquic"),
    ("sslyze", "sslyze"),
];

/// Python's clients, and the compilers that come as Python's packages, in an environment of their own.
fn python(folder: &Path) -> Result<()> {
    let python = folder.join("bin/python");
    let has =
        |module: &str| repository::output(Command::new(&python).args(["-c", &format!("import {module}")])).is_ok();
    let clients = MODULES.iter().filter(|(module, _)| !has(module)).map(|(_, package)| (*package).to_owned());
    // Plugins are made of Python, Go and Zig with these.
    let compilers = PIP.iter().filter(|(.., program)| !folder.join("bin").join(program).is_file());
    let compilers = compilers.map(|(package, version, _)| format!("{package}=={version}"));
    let missing: Vec<String> = clients.chain(compilers).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("pip") {
        repository::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    repository::run(Command::new(&python).args(install).args(missing))
}

/// Debian ships Python without what makes an environment.
fn has_venv() -> bool {
    repository::output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_ok()
}

fn apt(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if find("apt-get").is_none() {
        bail!("the tests need programs that are not here; on Debian: {by_hand}");
    }
    let root = repository::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt_get = |arguments: &[&str]| {
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        if !root {
            // Never ask: in CI nobody answers.
            command.args(["-n", "env"]);
        }
        repository::run(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments))
    };
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    apt_get(&install)
        .or_else(|_stale_lists| apt_get(&["update"]).and_then(|()| apt_get(&install)))
        .with_context(|| format!("the tests need these packages; by hand: {by_hand}"))
}
