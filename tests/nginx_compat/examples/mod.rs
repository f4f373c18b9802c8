//! `examples/`: the guides' configurations, each a pair of files. Every TOML is checked and
//! every `nginx.conf` tested as it stands; then each pair is run and the guide's own scenario
//! played. What is substituted: addresses of listeners and backends, the folders of certificates,
//! and the lines that end in a comment `tested as: …` (`nothing` takes the line away).

mod limits;
mod logs;
mod scenarios;
mod secure;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tidegate_tests::subject::{Binary, HeldPort, nginx_check};
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Authority, Certified, Head, Proxy, Subject, TempDir, TlsClient, Wire};

const MARK: &str = "# tested as: ";

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).canonicalize().unwrap()
}

/// The names of the folders that hold a pair.
pub(super) fn pairs() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let pairs = entries.filter(|entry| entry.path().join("nginx.conf").is_file());
    pairs.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

pub(super) fn read(name: &str, file: &str) -> String {
    let path = folder().join(name).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with the lines that its marks ask for.
pub(super) fn as_tested(text: &str) -> String {
    let lines = text.lines().filter_map(|line| match line.split_once(MARK) {
        None => Some(line),
        Some((_, "nothing")) => None,
        Some((_, instead)) => Some(instead),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where the files say that certificates are. The test has its own, `certs` beside the files.
const FOLDERS: [&str; 4] = ["/path/to/", "/etc/ssl/certs/", "/etc/ssl/private/", "/etc/letsencrypt/live/example.com/"];

/// The text with the test's certificates; `folder` is where it has them.
fn with_certificates(text: &str, folder: &str) -> String {
    FOLDERS.iter().fold(text.to_owned(), |text, theirs| text.replace(theirs, &format!("{folder}/certs/")))
}

/// The one certificate of all examples, with who has signed it.
fn certified() -> &'static (Authority, Certified) {
    static MADE: OnceLock<(Authority, Certified)> = OnceLock::new();
    MADE.get_or_init(|| {
        let authority = Authority::new();
        let certified = authority.issue(&["ws.example.com", "example.com"]);
        (authority, certified)
    })
}

/// The files that the guides name.
fn certificates() -> [(&'static str, String); 5] {
    let (authority, Certified { certificate, key, .. }) = certified();
    [
        ("certs/fullchain.pem", certificate.clone()),
        ("certs/privkey.pem", key.clone()),
        ("certs/chain.pem", authority.certificate()),
        ("certs/cert.pem", certificate.clone()),
        ("certs/key.pem", key.clone()),
    ]
}

/// A pair to be run.
struct Example {
    subject: Subject,
    nginx: String,
    tidegate: String,
    ports: Vec<(String, HeldPort)>,
    /// Those of the ports that speak TLS.
    secure: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    binary: bool,
}

/// A pair that runs: where it listens, in the order of [`Example::listen`].
struct Running {
    proxy: Proxy,
    ports: Vec<(String, HeldPort)>,
    secure: Vec<String>,
    client: TlsClient,
}

impl Example {
    fn of(subject: Subject, name: &str) -> Self {
        let (nginx, tidegate) = (as_tested(&read(name, "nginx.conf")), as_tested(&read(name, "tidegate.toml")));
        // One worker and the tests' cache of compiled components.
        let tidegate = tidegate.replacen("[server]\n", "[server]\nworkers = 1\ncache_dir = \"%cache%\"\n", 1);
        let [nginx, tidegate] = [nginx, tidegate].map(|text| with_certificates(&text, "%dir%"));
        let files = if nginx.contains("ssl_certificate") { certificates().to_vec() } else { Vec::new() };
        let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
        Self { subject, nginx, tidegate, ports: Vec::new(), secure: Vec::new(), files, binary: false }
    }

    /// A backend for an address that both files name.
    #[track_caller]
    fn backend(mut self, address: &str, backend: SocketAddr) -> Self {
        for text in [&mut self.nginx, &mut self.tidegate] {
            assert!(text.contains(address), "no {address} in\n{text}");
            *text = text.replace(address, &backend.to_string());
        }
        self
    }

    /// A free port for one that both files listen at, `8080` or `[::]:8080`.
    #[track_caller]
    fn listen(mut self, port: &str) -> Self {
        let held = HeldPort::new();
        let named = named(port);
        let said = ["", " ssl", " ssl http2"].map(|options| (format!("listen {port}{options};"), options));
        let found: Vec<_> = said.iter().filter(|(listen, _)| self.nginx.contains(listen)).collect();
        let [(listen, options)] = found.as_slice() else { panic!("one of {said:?} in\n{}", self.nginx) };
        assert_eq!(self.nginx.matches(listen).count(), 1, "{listen} in\n{}", self.nginx);
        assert!(self.tidegate.contains(&named), "no {named} in\n{}", self.tidegate);
        if !options.is_empty() {
            self.secure.push(port.to_owned());
        }
        self.nginx = self.nginx.replace(listen, &format!("listen {} reuseport{options};", held.address()));
        self.tidegate = self.tidegate.replace(&named, &format!("\"{}\"", held.address()));
        self.ports.push((port.to_owned(), held));
        self
    }

    /// A free port for Tidegate's operator address.
    #[track_caller]
    fn admin(mut self) -> Self {
        let (held, named) = (HeldPort::new(), "\"127.0.0.1:9090\"");
        assert!(self.tidegate.contains(named), "no {named} in\n{}", self.tidegate);
        self.tidegate = self.tidegate.replace(named, &format!("\"{}\"", held.address()));
        self.ports.push(("admin".to_owned(), held));
        self
    }

    /// A file that lies beside both files in the folder of this example.
    fn beside(mut self, example: &str, file: &str) -> Self {
        let text = read(example, file);
        self.files.push((file.to_owned(), text.into_bytes()));
        self
    }

    /// Run Tidegate as a process.
    fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    #[track_caller]
    fn start(self) -> Running {
        // nginx's first address is the harness's own.
        let first = self.ports.first().expect("an example listens").1.address();
        let nginx = self.nginx.replace(&format!("{first} reuseport"), "%listen%");
        let setup = self.subject.setup().nginx(&nginx).tidegate(&self.tidegate);
        let setup = self.files.iter().fold(setup, |setup, (name, text)| setup.file(name, text));
        let proxy = if self.binary { setup.binary() } else { setup }.start();
        let client = TlsClient::new(&certified().0, "ws.example.com");
        Running { proxy, ports: self.ports, secure: self.secure, client }
    }
}

/// How the TOML names what nginx calls by this port.
fn named(port: &str) -> String {
    if port.starts_with('[') { format!("\"{port}\"") } else { format!("\"0.0.0.0:{port}\"") }
}

impl Running {
    /// Where it listens instead of at `port`; `admin` is Tidegate's operator address.
    fn address(&self, port: &str) -> SocketAddr {
        let held = self.ports.iter().position(|(name, _)| name == port).expect("a port of the example");
        if held == 0 { self.proxy.address() } else { self.ports[held].1.address() }
    }

    /// Connect, with TLS where that is spoken.
    #[track_caller]
    fn wire(&self, port: &str) -> Wire {
        let address = self.address(port);
        if self.is_secure(port) { self.client.connect(address) } else { Wire::connect(address) }
    }

    /// As [`Self::wire`], from another address of this machine.
    #[track_caller]
    fn wire_from(&self, from: [u8; 4], port: &str) -> Wire {
        let stream = stream_from(from, self.address(port));
        if self.is_secure(port) { self.client.over(stream) } else { Wire::new(stream) }
    }

    fn is_secure(&self, port: &str) -> bool {
        self.secure.iter().any(|secure| secure == port)
    }

    /// Who speaks TLS with it.
    fn client(&self) -> &TlsClient {
        &self.client
    }

    /// One that speaks certain versions only.
    fn client_of(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsClient {
        TlsClient::with(&certified().0, self.client.name(), versions, None)
    }

    /// GET over a connection of its own.
    #[track_caller]
    fn get(&self, port: &str, host: &str, path: &str) -> (Head, String) {
        get(self.wire(port), host, path)
    }

    /// A handshake and some talk at `path`; the connection stays open.
    #[track_caller]
    fn talk(&self, port: &str, path: &str) -> Wire {
        let mut wire = self.wire(port);
        wire.upgrade(path);
        wire.echo(&Frame::text("hello"));
        wire.echo(&Frame::binary(&[7; 70_000]));
        wire
    }

    /// The status that a handshake at `path` gets.
    fn shake(&self, port: &str, path: &str, lines: &str) -> u16 {
        let mut wire = self.wire(port);
        wire.send(ws::handshake(path, lines));
        wire.read_head().status()
    }
}

fn get(mut wire: Wire, host: &str, path: &str) -> (Head, String) {
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let (head, body) = wire.read_response();
    (head, body.text())
}

/// Connect from another address of this machine.
fn connect_from(from: [u8; 4], to: SocketAddr) -> Wire {
    Wire::new(stream_from(from, to))
}

fn stream_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// What the guides' four lines tell the backend.
#[track_caller]
fn tells_who_asks(seen: &Head, host: &str, scheme: &str) {
    let told = ["host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto"].map(|name| seen.get(name).unwrap_or("-"));
    assert_eq!(told, [host, "127.0.0.1", "127.0.0.1", scheme]);
}

/// A folder that has the certificates.
fn certified_dir() -> TempDir {
    let dir = TempDir::new();
    for (name, text) in certificates() {
        dir.write(name, text);
    }
    dir
}

#[test]
fn every_toml_is_right_as_it_stands() {
    let dir = certified_dir();
    for name in pairs() {
        let (mut file, text) = (folder().join(&name).join("tidegate.toml"), read(&name, "tidegate.toml"));
        if text.contains("certificate = ") {
            file = dir.write("tidegate.toml", with_certificates(&text, &dir.path().display().to_string()));
        }
        let output = Binary::output(&["check", "-c", &file.display().to_string()]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Files that need modules that Debian's nginx does not have say so by marks.
#[test]
fn every_nginx_conf_is_right_as_it_stands() {
    let dir = certified_dir();
    for name in pairs() {
        let text = with_certificates(&as_tested(&read(&name, "nginx.conf")), &dir.path().display().to_string());
        nginx_check(&text).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}

/// Marks are for what cannot run here, and for nothing else.
#[test]
fn marks_are_few() {
    // The harness reads in the log where Tidegate listens, and runs nginx as one process, whose
    // `reuseport` must not make sockets for more.
    let reasons = ["worker_processes", "quic", "http3", "http2_", "vhost_", "/var/", "user ", "/run/", "level = "];
    for name in pairs() {
        for file in ["nginx.conf", "tidegate.toml"] {
            for line in read(&name, file).lines().filter(|line| line.contains(MARK)) {
                assert!(reasons.iter().any(|reason| line.contains(reason)), "{name}/{file}: {line}");
            }
        }
    }
}

#[test]
fn every_pair_is_run_and_listed() {
    let sources =
        [include_str!("limits.rs"), include_str!("logs.rs"), include_str!("scenarios.rs"), include_str!("secure.rs")]
            .concat();
    let list = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for name in pairs() {
        assert!(sources.contains(&format!("\"{name}\"")), "no scenario plays {name}");
        assert!(list.contains(&format!("({name})")), "examples/README.md does not list {name}");
        assert!(!read(&name, "README.md").is_empty());
    }
}
