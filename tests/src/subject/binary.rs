//! The real binary, as an operator runs it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread::spawn;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use super::cache_dir;
use crate::eventually::wait_for;
use crate::tools::target_dir;

/// Where the binary is: `TIDEGATE_BIN`; or `TIDEGATE_TEST_PROGRAM`, which `cargo xtask test`
/// sets to the one that it has built; or the one that cargo builds beside the tests (built
/// here first, once, which does nothing where it is fresh).
pub fn binary_path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = ["TIDEGATE_BIN", "TIDEGATE_TEST_PROGRAM"].iter().find_map(std::env::var_os) {
            return path.into();
        }
        let release = cfg!(not(debug_assertions));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "tidegate", "--bin", "tidegate", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).arg("--target-dir").arg(target_dir());
        cargo.args(release.then_some("--release"));
        let status = cargo.status().expect("run cargo");
        assert!(status.success(), "cargo build of the binary: {status}");
        target_dir().join(if release { "release" } else { "debug" }).join("tidegate")
    })
}

/// A running `tidegate`; killed when dropped.
pub struct Binary {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    addresses: Vec<SocketAddr>,
}

impl Binary {
    /// A command of the binary, with the tests' cache of compiled components.
    pub fn command() -> Command {
        let mut command = Command::new(binary_path());
        command.env("XDG_CACHE_HOME", cache_dir()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Run a command of the binary to its end.
    #[track_caller]
    pub fn output(arguments: &[&str]) -> Output {
        Self::command().args(arguments).output().expect("run tidegate")
    }

    /// `tidegate run -c tidegate.toml` in `dir`; returns when it listens at `listeners`
    /// addresses.
    ///
    /// # Errors
    /// What it wrote to stderr, where it ends instead.
    pub fn run(dir: &Path, listeners: usize) -> Result<Self, String> {
        Self::start(Self::command().current_dir(dir).args(["run", "-c", "tidegate.toml"]), None, listeners)
    }

    /// Start this command, feed it, and wait until it listens at `listeners` addresses.
    ///
    /// # Errors
    /// What it wrote to stderr, where it ends instead.
    pub fn start(command: &mut Command, input: Option<&str>, listeners: usize) -> Result<Self, String> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("run tidegate");
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).expect("feed tidegate");
        }
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let mut this = Self { child, stdout, stderr, addresses: Vec::new() };
        this.addresses = wait_for("tidegate to listen", || {
            let found = listening(&this.stderr());
            if found.len() >= listeners {
                return Some(Ok(found));
            }
            this.child.try_wait().expect("wait for tidegate").map(|status| {
                // The reader of stderr may still be behind.
                Err(status)
            })
        })
        .map_err(|status| format!("{status}\n{}", this.stderr_at_end()))?;
        Ok(this)
    }

    /// Where it listens, as its log said when it started.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Every address that its log has said it listens at until now.
    pub fn listening(&self) -> Vec<SocketAddr> {
        listening(&self.stderr())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, bytes.
    #[track_caller]
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
        line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") * 1024
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal tidegate");
    }

    /// Wait for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("tidegate to end", || self.child.try_wait().expect("wait for tidegate"))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("look at tidegate").is_none()
    }

    /// What it has written to stdout.
    pub fn stdout(&self) -> String {
        self.stdout.lock().clone()
    }

    /// What it has written to stderr.
    pub fn stderr(&self) -> String {
        self.stderr.lock().clone()
    }

    fn stderr_at_end(&self) -> String {
        // The collecting thread drops its handle at the end of the stream.
        wait_for("the end of stderr", || (Arc::strong_count(&self.stderr) == 1).then(|| self.stderr()))
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("tidegate's stderr:\n{}", self.stderr());
        }
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let (stream, into) = (stream.expect("a pipe"), Arc::clone(&text));
    spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut into = into.lock();
            into.push_str(&String::from_utf8_lossy(&line));
            into.push('\n');
        }
    });
    text
}

/// The addresses in log lines `… listening … address=127.0.0.1:PORT`, but that of `[admin]`.
fn listening(log: &str) -> Vec<SocketAddr> {
    log.lines()
        .filter(|line| line.contains("listening") && !line.contains("admin listening"))
        .filter_map(|line| line.split_once("address=")?.1.split_whitespace().next()?.trim_matches('"').parse().ok())
        .collect()
}
