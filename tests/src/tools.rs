//! Where things are that the tests need besides the code: the target directory and the
//! real clients that `cargo xtask test` installs there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::eventually::{patience, wait_for};

/// Cargo's target directory that this test was built into.
pub fn target_dir() -> PathBuf {
    // …/target/debug/deps/e2e-0123456789abcdef
    let test = std::env::current_exe().expect("this test's path");
    test.ancestors().nth(3).expect("a target directory above the test").to_path_buf()
}

/// `target/test-tools`, where `cargo xtask test` puts the real clients: node modules and
/// a Python environment. `TIDEGATE_TEST_TOOLS` names another place.
pub fn tools_dir() -> PathBuf {
    std::env::var_os("TIDEGATE_TEST_TOOLS").map_or_else(|| target_dir().join("test-tools"), PathBuf::from)
}

/// A path under [`tools_dir`]; fails the test with the way to install it where it is
/// missing.
#[track_caller]
pub fn tool(path: &str, install: &str) -> PathBuf {
    let path = tools_dir().join(path);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, or by hand: {install}", path.display());
    path
}

/// The npm `ws` package's directory for `NODE_PATH`.
#[track_caller]
pub fn node_modules() -> PathBuf {
    let dir = tools_dir().display().to_string();
    tool("node_modules/ws", &format!("npm install --prefix {dir} ws@8"));
    tools_dir().join("node_modules")
}

/// A Python that has `websockets` and `aioquic`.
#[track_caller]
pub fn python() -> PathBuf {
    let dir = tools_dir().display().to_string();
    tool(
        "venv/bin/python",
        &format!(
            "python3 -m venv {dir}/venv && {dir}/venv/bin/pip install websockets h2 'httpx[http2]' aioquic sslyze"
        ),
    )
}

/// Autobahn's `wstest`, which needs a Python 2.7.
#[track_caller]
pub fn autobahn() -> PathBuf {
    tool("autobahn/wstest", "cargo xtask test --only tools (with a python2.7, or TIDEGATE_PYTHON2=FILE)")
}

/// A program of the system; fails the test with the Debian package where it is missing.
#[track_caller]
pub fn system(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// Run a client to its end, with a limit in time; fails the test if it does not end.
#[track_caller]
pub fn run(command: &mut Command, scratch: &Path) -> Output {
    let out = |name: &str| std::fs::File::create(scratch.join(name)).expect("a file for a client's output");
    let read = |name: &str| std::fs::read(scratch.join(name)).unwrap_or_default();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out("client.out"))
        .stderr(out("client.err"))
        .spawn()
        .unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    let deadline = std::time::Instant::now() + patience() * 3;
    let status = loop {
        let status = wait_for_some(&mut child);
        if let Some(status) = status {
            break status;
        }
        if std::time::Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let (out, err) = (read("client.out"), read("client.err"));
            panic!("{command:?} does not end\n{}\n{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        }
    };
    Output { status, stdout: read("client.out"), stderr: read("client.err") }
}

fn wait_for_some(child: &mut std::process::Child) -> Option<std::process::ExitStatus> {
    let until = std::time::Instant::now() + patience() / 2;
    wait_for("a client, or half the patience", || match child.try_wait().expect("wait for a client") {
        Some(status) => Some(Some(status)),
        None => (std::time::Instant::now() > until).then_some(None),
    })
}
