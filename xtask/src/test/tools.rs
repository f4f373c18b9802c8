//! What the tests need besides Rust: servers and real clients, by package name. Nothing is
//! installed that is there already.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

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
    if !missing.is_empty() {
        apt(&missing)?;
    }
    let folder = repository::target()?.join("test-tools");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if !folder.join("node_modules/ws").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg("ws@8");
        repository::run(&mut npm)?;
    }
    python(&folder.join("venv"))?;
    super::autobahn::install(&folder.join("autobahn"))
}

/// Python's clients: what is imported, and what it is installed by.
const MODULES: &[(&str, &str)] = &[
    ("websockets", "websockets"),
    ("h2", "h2"),
    ("httpx", "httpx[http2]"),
    ("aioquic", "aioquic"),
    ("sslyze", "sslyze"),
];

/// Python's clients, in an environment of their own.
fn python(folder: &Path) -> Result<()> {
    let python = folder.join("bin/python");
    let has =
        |module: &str| repository::output(Command::new(&python).args(["-c", &format!("import {module}")])).is_ok();
    let missing: Vec<&str> = MODULES.iter().filter(|(module, _)| !has(module)).map(|(_, package)| *package).collect();
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
