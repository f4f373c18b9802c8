//! What is under test: Tidegate, in this process or as the real binary, or nginx as the
//! model. The same case runs against each from one body.

mod binary;
mod nginx;
mod port;
mod tidegate;

use std::net::SocketAddr;
use std::path::Path;

pub use binary::{Binary, binary_path};
pub use nginx::nginx_check;
pub use port::HeldPort;

use crate::http::Body;
use crate::tempdir::TempDir;
use crate::{Head, Wire};

/// The programs that a case can run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Debian's nginx, or the one that `TIDEGATE_TEST_NGINX` names.
    Nginx,
    /// Tidegate, in this process, or the binary that `TIDEGATE_BIN` names.
    Tidegate,
}

impl Subject {
    /// Begin a set-up for this subject.
    pub fn setup(self) -> Setup {
        Setup {
            subject: self,
            nginx: String::new(),
            tidegate: String::new(),
            vars: Vec::new(),
            files: Vec::new(),
            form: None,
        }
    }

    /// A subject that sends everything to one backend: nginx with the guides' recommended
    /// lines, Tidegate without any but the route.
    #[track_caller]
    pub fn before(self, backend: SocketAddr) -> Proxy {
        self.setup().nginx(nginx::TO_BACKEND).tidegate(TO_BACKEND).var("backend", backend).start()
    }
}

/// Tidegate's configuration for everything to one backend.
const TO_BACKEND: &str = r#"
[[sites]]
limits = { max_body = 0 }
[[sites.routes]]
match = "/"
upstream = "%backend%"
"#;

/// Tidegate with this configuration. In the text, `%name%` stands for what
/// [`Setup::var`] says; `%dir%` for the test's own directory and `%cache%` for the cache of
/// compiled components are there always. Where it names no listener, one on a free port is
/// added, and where it has no `[server]` table, one with a single worker.
pub fn tidegate(text: &str) -> Setup {
    Subject::Tidegate.setup().tidegate(text)
}

/// How Tidegate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    InProcess,
    Binary,
}

/// A subject to be started.
#[derive(Debug)]
#[must_use]
pub struct Setup {
    subject: Subject,
    nginx: String,
    tidegate: String,
    vars: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    form: Option<Form>,
}

impl Setup {
    /// nginx's configuration: what stands in `http { … }`. `%listen%` is the address of its
    /// listener; `%guide%` the lines that the guides recommend in a location; where there is
    /// no `server {`, the text is put into one. A whole file with an `http {` is taken as it
    /// is, but for where nginx may write.
    pub fn nginx(mut self, text: &str) -> Self {
        text.clone_into(&mut self.nginx);
        self
    }

    /// Tidegate's configuration; see [`tidegate`].
    pub fn tidegate(mut self, text: &str) -> Self {
        text.clone_into(&mut self.tidegate);
        self
    }

    /// What `%name%` stands for in the configuration.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where a number or an address is given")]
    pub fn var(mut self, name: &str, value: impl ToString) -> Self {
        self.vars.push((name.to_owned(), value.to_string()));
        self
    }

    /// A file in the test's directory, where the configuration can refer to it.
    pub fn file(mut self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), contents.as_ref().to_vec()));
        self
    }

    /// Run Tidegate in this process whatever the environment says.
    pub fn in_process(mut self) -> Self {
        self.form = Some(Form::InProcess);
        self
    }

    /// Run the real binary.
    pub fn binary(mut self) -> Self {
        self.form = Some(Form::Binary);
        self
    }

    /// Start it; it accepts connections when this returns.
    #[track_caller]
    pub fn start(self) -> Proxy {
        match self.try_start() {
            Ok(proxy) => proxy,
            Err(problems) => panic!("the subject does not start:\n{problems}"),
        }
    }

    /// Start it, or give the problems that it reports.
    ///
    /// # Errors
    /// What it says of its configuration, or why it does not start.
    pub fn try_start(self) -> Result<Proxy, String> {
        let dir = TempDir::new();
        for (name, contents) in &self.files {
            dir.write(name, contents);
        }
        let form = self.form.unwrap_or(match std::env::var_os("TIDEGATE_BIN") {
            Some(_) => Form::Binary,
            None => Form::InProcess,
        });
        let running = match (self.subject, form) {
            (Subject::Nginx, _) => Running::Nginx(nginx::Nginx::start(&fill(&self.nginx, &self.vars, &dir), &dir)),
            (Subject::Tidegate, Form::InProcess) => {
                Running::InProcess(tidegate::InProcess::start(&complete(&self.tidegate, &self.vars, &dir), dir.path())?)
            }
            (Subject::Tidegate, Form::Binary) => {
                dir.write("tidegate.toml", complete(&self.tidegate, &self.vars, &dir));
                let count = self.tidegate.matches("[[listeners]]").count().max(1);
                Running::Binary(Binary::run(dir.path(), count)?)
            }
        };
        Ok(Proxy { running, vars: self.vars, dir })
    }
}

enum Running {
    Nginx(nginx::Nginx),
    InProcess(tidegate::InProcess),
    Binary(Binary),
}

/// A subject that runs. Dropping it ends it at once.
pub struct Proxy {
    running: Running,
    vars: Vec<(String, String)>,
    dir: TempDir,
}

impl Proxy {
    /// Where it listens; with several listeners, the first.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Where it listens, in the configuration's order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        match &self.running {
            Running::Nginx(nginx) => vec![nginx.address()],
            Running::InProcess(server) => server.addresses(),
            Running::Binary(binary) => binary.addresses(),
        }
    }

    /// Connect to it.
    #[track_caller]
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    /// Send a request's bytes over a connection of its own and read the response.
    #[track_caller]
    pub fn ask(&self, request: impl AsRef<[u8]>) -> (Head, Body) {
        let mut wire = self.connect();
        wire.send(request);
        wire.read_response()
    }

    /// GET a path with the Host `ws.example.com`.
    #[track_caller]
    pub fn get(&self, path: &str) -> (Head, Body) {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: ws.example.com\r\n\r\n"))
    }

    /// Connect and open a tunnel at `path`.
    #[track_caller]
    pub fn open(&self, path: &str) -> Wire {
        let mut wire = self.connect();
        wire.upgrade(path);
        wire
    }

    /// The test's own directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Read a file of the test's directory as text; empty where there is none.
    pub fn read_file(&self, name: &str) -> String {
        self.dir.read(name)
    }

    /// Give the server in this process another configuration.
    ///
    /// # Errors
    /// What it says against it; then the old one stays.
    pub fn reload(&mut self, text: &str) -> Result<(), String> {
        let text = complete(text, &self.vars, &self.dir);
        match &mut self.running {
            Running::InProcess(server) => server.reload(&text, self.dir.path()),
            Running::Nginx(_) | Running::Binary(_) => panic!("only the server in this process reloads by a call"),
        }
    }

    /// Write another configuration where the real binary reads it, without telling it.
    pub fn rewrite(&self, text: &str) {
        self.dir.write("tidegate.toml", complete(text, &self.vars, &self.dir));
    }

    /// What `%name%` stands for from now on.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where a number or an address is given")]
    pub fn set_var(&mut self, name: &str, value: impl ToString) {
        self.vars.retain(|(n, _)| n != name);
        self.vars.push((name.to_owned(), value.to_string()));
    }

    /// How many tunnels are open in the server in this process.
    pub fn open_tunnels(&self) -> usize {
        match &self.running {
            Running::InProcess(server) => server.open_tunnels(),
            Running::Nginx(_) | Running::Binary(_) => panic!("only the server in this process tells its tunnels"),
        }
    }

    /// Stop accepting, wait for tunnels up to `drain_timeout`, and end.
    pub fn drain(self) {
        match self.running {
            Running::InProcess(server) => server.drain(),
            Running::Nginx(_) | Running::Binary(_) => panic!("only the server in this process drains by a call"),
        }
    }

    /// The real binary's process.
    pub fn process(&mut self) -> &mut Binary {
        match &mut self.running {
            Running::Binary(binary) => binary,
            Running::Nginx(_) | Running::InProcess(_) => panic!("not the real binary"),
        }
    }
}

fn fill(text: &str, vars: &[(String, String)], dir: &TempDir) -> String {
    let mut text = text.to_owned();
    for (name, value) in vars {
        text = text.replace(&format!("%{name}%"), value);
    }
    text = text.replace("%cache%", &cache_dir().display().to_string());
    text.replace("%dir%", &dir.path().display().to_string())
}

fn complete(text: &str, vars: &[(String, String)], dir: &TempDir) -> String {
    let mut text = fill(text, vars, dir);
    // At the end, so that what the text itself says keeps its line numbers.
    if !text.lines().any(|line| line.trim() == "[server]") {
        text.push_str(&format!("\n[server]\nworkers = 1\ncache_dir = \"{}\"\n", cache_dir().display()));
    }
    if !text.contains("[[listeners]]") {
        text.push_str("\n[[listeners]]\naddress = \"127.0.0.1:0\"\n");
    }
    text
}

/// Where compiled components are kept between tests: beside the test binaries.
pub fn cache_dir() -> std::path::PathBuf {
    crate::tools::target_dir().join("test-cache")
}
