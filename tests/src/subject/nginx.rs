//! nginx as the model, each with a directory, log and port of its own.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::port::HeldPort;
use crate::eventually::wait_for;
use crate::tempdir::TempDir;

/// Everything to one backend, in the guides' way, connections to the backend kept.
pub(super) const TO_BACKEND: &str = r#"
upstream backend { server %backend%; keepalive 32; }
server {
    listen %listen%;
    location / { proxy_pass http://backend; %guide% }
}
"#;

/// What the guides recommend in a location, with the buffering off as they do for
/// real-time traffic.
const GUIDE: &str = r#"
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $guide_connection;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_buffering off;
        proxy_request_buffering off;
        client_max_body_size 0;
"#;

/// The guides' map, but for an empty value where there is no upgrade: that lets nginx keep
/// connections to the backend, as Tidegate does.
const MAP: &str = "    map $http_upgrade $guide_connection { default upgrade; '' ''; }\n";

/// A running nginx: one process, ended when dropped.
pub(super) struct Nginx {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    _port: HeldPort,
}

impl Nginx {
    #[track_caller]
    pub(super) fn start(http: &str, dir: &TempDir) -> Self {
        let port = HeldPort::new();
        let address = port.address();
        let http =
            if http.contains("server {") { http.to_owned() } else { format!("server {{ listen %listen%;\n{http}\n}}") };
        // A socket's options are given once; further servers share it by its address.
        let http =
            http.replacen("%listen%", &format!("{address} reuseport"), 1).replace("%listen%", &address.to_string());
        let conf = dir.write("nginx.conf", whole(&http.replace("%guide%", GUIDE), dir.path()));
        let log = dir.path().join("error.log");
        let output = std::fs::File::create(dir.path().join("nginx.out")).expect("a file for nginx's output");
        let child = Command::new(program())
            .args([
                "-p",
                &dir.path().display().to_string(),
                "-e",
                &log.display().to_string(),
                "-c",
                &conf.display().to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("run {}: {error}; install nginx-light, or set TIDEGATE_TEST_NGINX", program())
            });
        let mut this = Self { child, address, log, _port: port };
        wait_for("nginx to listen", || {
            if let Ok(Some(status)) = this.child.try_wait() {
                panic!("nginx ended with {status}: {}", dir.read("error.log"));
            }
            TcpStream::connect(address).ok()
        });
        this
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let telling = log.lines().filter(|line| !line.contains("[notice]") && !line.contains("closed keepalive"));
            eprintln!("nginx's log:\n{}", telling.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Whether nginx (`-t`) takes a whole configuration file, with the lines that
/// `Nginx::start` adds to it.
///
/// # Errors
/// What nginx says against it.
pub fn nginx_check(conf: &str) -> Result<(), String> {
    let dir = TempDir::new();
    let file = dir.write("nginx.conf", whole(conf, dir.path()));
    let (prefix, file) = (dir.path().display().to_string(), file.display().to_string());
    let log = dir.path().join("error.log").display().to_string();
    let output = Command::new(program()).args(["-t", "-p", &prefix, "-e", &log, "-c", &file]).output();
    let output = output.map_err(|error| format!("run {}: {error}; install nginx-light", program()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn program() -> String {
    std::env::var("TIDEGATE_TEST_NGINX").unwrap_or_else(|_| {
        let usual = "/usr/sbin/nginx";
        if Path::new(usual).exists() { usual.to_owned() } else { "nginx".to_owned() }
    })
}

fn whole(http: &str, dir: &Path) -> String {
    let dir = dir.display();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("    {name}_temp_path {dir}/{name}_temp;\n"))
        .collect();
    let access = if http.contains("access_log") { "" } else { "    access_log off;\n" };
    // One process: nothing stays behind when it is killed.
    let main = format!("daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log info;\n");
    // A whole file, as an operator has it, keeps all that it says.
    if let Some((before, after)) = http.split_once("\nhttp {\n") {
        return format!("{main}{before}\nhttp {{\n{temp}{access}{after}");
    }
    format!("{main}events {{ worker_connections 1024; }}\nhttp {{\n{temp}{access}{MAP}{http}\n}}\n")
}
