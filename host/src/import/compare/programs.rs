//! A folder that is gone afterwards, and nginx as a child that ends with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::loopback::Loopback;

/// How long nginx may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The certificate that both programs show, in the folder.
pub(super) const CERTIFICATE: &str = "certificate.pem";
/// Its key.
pub(super) const KEY: &str = "key.pem";

/// A folder of this comparison's own, with a certificate in it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, String> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tidegate-compare-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let scratch = Self(folder);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
        for (name, text) in [(CERTIFICATE, made.cert.pem()), (KEY, made.signing_key.serialize_pem())] {
            fs::write(scratch.0.join(name), text).map_err(|error| format!("cannot write {name}: {error}"))?;
        }
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// nginx, as long as this is there.
pub(super) struct Nginx(Child);

impl Nginx {
    pub(super) fn start(program: &Path, scratch: &Scratch, text: &str, loopback: &Loopback) -> Result<Self, String> {
        let folder = scratch.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {folder}/{name}_temp;\n"))
            .collect();
        let access = if text.contains("\naccess_log ") { "" } else { "access_log off;\n" };
        let text = text.replacen("http {\n", &format!("http {{\n{temporary}{access}"), 1);
        // One process: nothing stays behind when it is killed.
        let main =
            format!("daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n");
        let file = scratch.path().join("nginx.conf");
        fs::write(&file, format!("{main}{text}")).map_err(|error| error.to_string())?;
        let log = scratch.path().join("error.log");
        let child = Command::new(program)
            .arg("-p")
            .arg(scratch.path())
            .arg("-e")
            .arg(&log)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child
            .map_err(|error| format!("cannot run {}: {error}; --nginx-binary names another", program.display()))?;
        let mut nginx = Self(child);
        let started = Instant::now();
        for port in loopback.ports() {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            while TcpStream::connect_timeout(&address, PATIENCE).is_err() {
                let ended = nginx.0.try_wait().is_ok_and(|status| status.is_some());
                if ended || started.elapsed() > PATIENCE {
                    let said = fs::read_to_string(&log).unwrap_or_default();
                    return Err(format!("nginx does not run: {}", said.trim()));
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
