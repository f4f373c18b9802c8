//! Debian's real Redis, at a Unix socket and a port of its own.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually::{patience, wait_for};
use crate::tempdir::TempDir;
use crate::tools::system;

/// A Redis that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    arguments: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Start one that anybody may use.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Start one with more arguments. `%dir%` stands for its directory, where `files` are put;
    /// `--port` is told, unless TLS has it (`--tls-port %port%`).
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new(), arguments)
    }

    /// The same in a directory with files in it.
    #[track_caller]
    pub fn start_in(dir: TempDir, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut redis = Self { dir, arguments, port: 0, child: None };
        redis.restart();
        redis
    }

    /// Its port of the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL by the Unix socket.
    pub fn url(&self) -> String {
        format!("unix:{}", self.dir.path().join("redis.sock").display())
    }

    /// Its URL by TCP.
    pub fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// End it at once; what it had is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Start it, again at the same port.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        let program = system("redis-server", "redis-server");
        let socket = self.dir.path().join("redis.sock");
        let again = self.port != 0;
        self.child = Some(wait_for("a Redis", || {
            if !again {
                // It cannot choose one itself: a free port, and another one where it was taken since.
                let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
                self.port = free.port();
            }
            let _ = std::fs::remove_file(&socket);
            let mut command = Command::new(&program);
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--logfile", "redis.log"]);
            command.arg("--dir").arg(self.dir.path()).arg("--unixsocket").arg(&socket);
            if !self.arguments.iter().any(|argument| argument == "--tls-port") {
                command.arg("--port").arg(self.port.to_string());
            }
            let dir = self.dir.path().display().to_string();
            let fill = |text: &String| text.replace("%dir%", &dir).replace("%port%", &self.port.to_string());
            command.args(self.arguments.iter().map(fill));
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
            let until = std::time::Instant::now() + patience() / 2;
            while UnixStream::connect(&socket).is_err() {
                let ended = child.try_wait().expect("wait for a Redis").is_some();
                if ended || std::time::Instant::now() > until {
                    let _ = child.kill();
                    let _ = child.wait();
                    assert!(ended, "a Redis does not listen: {}", self.dir.read("redis.log"));
                    return None;
                }
                std::thread::yield_now();
            }
            Some(child)
        }));
    }

    /// Let it neither answer nor end, until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Let it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a Redis that runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process")).expect("a process");
        kill_process(pid, signal).expect("a signal");
    }

    /// Ask it by its own client; the answer's text.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> String {
        let socket = self.dir.path().join("redis.sock");
        let output = Command::new(system("redis-cli", "redis-tools")).arg("-s").arg(socket).args(arguments).output();
        String::from_utf8_lossy(&output.expect("run redis-cli").stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
