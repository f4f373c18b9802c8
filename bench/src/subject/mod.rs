//! The proxies that are measured: started for one measurement each, on a free port, with
//! their files in a directory that goes away with the run.

mod nginx;
mod tidegate;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::{BenchError, Context as _, Result};
use crate::load::get::is_answer;
use crate::poll::pause;
use crate::process::Tree;
use crate::tls::{Client, Trust};
use crate::wire::{Door, Wire};
use crate::ws::RequestText;
use crate::{net, ws};

/// How long a proxy may take to answer for the first time (a cold cache compiles).
const READY: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// nginx with checks.
    Nginx,
    /// nginx that only proxies.
    NginxBare,
    /// Tidegate with its four stock hooks.
    Tidegate,
    /// Tidegate with its router alone.
    TidegateBare,
    /// Tidegate with its router, and a plugin that sees each message and lets it pass.
    TidegateSeen,
    /// Tidegate with its router, and such a plugin at `/seen/` alone.
    TidegateBeside,
    /// The floor: bytes copied between two sockets.
    Relay,
}

impl Subject {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxBare => "nginx, proxying only",
            Self::Tidegate => "Tidegate",
            Self::TidegateBare => "Tidegate, router only",
            Self::TidegateSeen => "Tidegate, messages seen",
            Self::TidegateBeside => "Tidegate, others' messages seen",
            Self::Relay => "relay",
        }
    }

    /// The same proxy without the checks and header rules.
    pub(crate) fn bare(self) -> Option<Self> {
        match self {
            Self::Nginx => Some(Self::NginxBare),
            Self::Tidegate => Some(Self::TidegateBare),
            _ => None,
        }
    }
}

/// Programs and places.
#[derive(Debug)]
pub(crate) struct Setup {
    /// nginx's program.
    pub(crate) nginx: PathBuf,
    /// Tidegate's program.
    pub(crate) tidegate: PathBuf,
    /// Of this run alone; removed at its end.
    pub(crate) directory: PathBuf,
    /// Limit of open files, inherited by every process.
    pub(crate) open_files: u64,
    /// Whether proxies have three sites of ten routes, limits and an access log.
    pub(crate) full: bool,
    /// Processor that proxies have for themselves.
    pub(crate) pin: Option<usize>,
    /// What clients over TLS trust.
    pub(crate) trust: Trust,
}

impl Setup {
    /// Make the directory and the password file.
    pub(crate) fn new(nginx: PathBuf, tidegate: PathBuf, full: bool, pin: Option<usize>) -> Result<Self> {
        let open_files = net::raise_open_files()?;
        let directory = std::env::temp_dir().join(format!("tidegate-bench-{}", std::process::id()));
        fs::create_dir_all(&directory).during(format!("create {}", directory.display()))?;
        let trust = Trust::make(&directory)?;
        let setup = Self { nginx, tidegate, directory, open_files, full, pin, trust };
        setup.write("htpasswd", &ws::htpasswd_line())?;
        Ok(setup)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, text).during(format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // A directory in /tmp that stays behind harms nobody.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// A backend or relay of this program, in a process of its own.
pub(crate) struct Helper {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Helper {
    /// Start `tidegate-bench COMMAND…` and read its port.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().during("find this program")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().during("start a helper process")?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).during("read a helper's port")?;
        }
        let port: u16 = line.trim().parse().map_err(|_none| BenchError::Format("a helper's port".into()))?;
        Ok(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// A proxy that answers.
pub(crate) struct Running {
    proxy: Proxy,
    /// Where it listens, and how it is spoken with.
    pub(crate) door: Door,
    /// Its processes.
    pub(crate) tree: Tree,
    /// From the start of the process to the first answer.
    pub(crate) start_up: Duration,
}

enum Proxy {
    Program { child: Child },
    Relay { _helper: Helper },
}

/// Start a proxy in front of `backend`, with TLS towards clients or without, and wait for its
/// first answer.
pub(crate) fn start(subject: Subject, setup: &Setup, backend: SocketAddr, tls: bool) -> Result<Running> {
    let begun = Instant::now();
    if subject == Subject::Relay {
        let helper = on_its_processor(setup, || Helper::start(&["relay", &backend.to_string()]))?;
        let door = Door { address: helper.address, tls: None };
        let tree = Tree::of(helper.child.id())?;
        return Ok(Running { proxy: Proxy::Relay { _helper: helper }, door, tree, start_up: begun.elapsed() });
    }
    let address = SocketAddr::from(([127, 0, 0, 1], net::free_port()?));
    let door = Door { address, tls: tls.then(|| setup.trust.client(false)).transpose()? };
    let mut command = match subject {
        Subject::Nginx | Subject::NginxBare => nginx::command(setup, &door, backend, subject == Subject::Nginx)?,
        _ => tidegate::command(setup, &door, backend, subject)?,
    };
    let log_path = setup.directory.join("log");
    let log = File::create(&log_path).during("create a log")?;
    let copy = log.try_clone().during("create a log")?;
    command.stdin(Stdio::null()).stdout(copy).stderr(log);
    let begun = Instant::now();
    let mut child = on_its_processor(setup, || command.spawn().during(format!("start {}", subject.name())))?;
    if let Err(why) = wait_for_answer(&mut child, &door) {
        end(&mut child);
        let log = tail(&log_path);
        return Err(BenchError::NotReady { subject: subject.name().into(), why, log });
    }
    let start_up = begun.elapsed();
    let tree = Tree::of(child.id())?;
    Ok(Running { proxy: Proxy::Program { child }, door, tree, start_up })
}

/// Start something on the proxy's processor, if it is to have one for itself: a process
/// inherits where its parent's thread may run. This thread goes back to the others then.
fn on_its_processor<T>(setup: &Setup, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(processor) = setup.pin else { return start() };
    bind(|cpu| cpu == processor)?;
    let started = start();
    keep_off(processor)?;
    started
}

/// Keep this thread, and what it starts from now on, off the proxy's processor.
pub(crate) fn keep_off(processor: usize) -> Result<()> {
    bind(|cpu| cpu != processor)
}

/// Bind this thread to the processors that `chosen` takes; the kernel leaves out those that
/// do not exist.
fn bind(chosen: impl Fn(usize) -> bool) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| chosen(*cpu)) {
        set.set(cpu);
    }
    sched_setaffinity(None, &set).during("sched_setaffinity")
}

/// Ask until there is an answer: the first that comes, not the first `listen`.
fn wait_for_answer(child: &mut Child, door: &Door) -> std::result::Result<(), String> {
    let begun = Instant::now();
    let mut last = String::new();
    while begun.elapsed() < READY {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it ended: {status}"));
        }
        match ask(door) {
            Ok(true) => return Ok(()),
            Ok(false) => return Err("it closed the connection without an answer".into()),
            Err(error @ BenchError::Io { .. }) => {
                last = error.to_string();
                pause(Duration::from_micros(200));
            }
            Err(e) => return Err(e.to_string()),
        }
    }
    Err(format!("no answer within {} s: {last}", READY.as_secs()))
}

fn ask(door: &Door) -> Result<bool> {
    let stream = TcpStream::connect(door.address).during("connect")?;
    stream.set_read_timeout(Some(READY)).during("read timeout")?;
    let mut stream = Wire::new(stream, door.tls.as_ref().map(Client::connection).transpose()?);
    stream.write_all(RequestText::plain_get("/page").as_bytes()).during("send")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).during("receive")?;
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length == 0 || is_answer(&answer)? {
            return Ok(length != 0);
        }
    }
}

fn tail(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

impl Drop for Running {
    fn drop(&mut self) {
        let Proxy::Program { child } = &mut self.proxy else { return };
        // SIGTERM first: nginx's master ends its workers then, and would leave them on SIGKILL.
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // Where it has ended by itself there is nobody to tell.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            pause(Duration::from_millis(2));
        }
        end(child);
    }
}
