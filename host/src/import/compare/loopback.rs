//! A configuration moved to loopback ports, without what is of the machine.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use super::programs::{CERTIFICATE, KEY, Scratch};
use crate::import::syntax::{Directive, Word};

/// What of TLS is the same for both; its files are the comparison's own.
const TLS_KEPT: [&str; 9] = [
    "ssl_protocols",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_reject_handshake",
    "ssl_verify_client",
    "ssl_verify_depth",
    "ssl_session_cache",
    "ssl_session_tickets",
    "ssl_session_timeout",
];

/// What is of the machine, and left out for both.
const LEFT_OUT: [&str; 13] = [
    "user",
    "pid",
    "daemon",
    "master_process",
    "worker_processes",
    "error_log",
    "resolver",
    "resolver_timeout",
    "lock_file",
    "worker_rlimit_nofile",
    "worker_cpu_affinity",
    "worker_priority",
    "proxy_bind",
];

/// Where things are moved.
pub(super) struct Loopback {
    folder: PathBuf,
    base: PathBuf,
    backend: u16,
    /// nginx's addresses, and the ports that stand for them.
    ports: Vec<(String, u16)>,
    /// Addresses of peers, each with a loopback address of its own.
    peers: Vec<String>,
    named: Vec<String>,
    /// Those of nginx's addresses where TLS is spoken.
    secure: Vec<String>,
}

impl Loopback {
    pub(super) fn new(scratch: &Scratch, backend: u16, base: &Path) -> Result<Self, String> {
        Ok(Self {
            folder: scratch.path().to_owned(),
            base: base.to_owned(),
            backend,
            ports: Vec::new(),
            peers: Vec::new(),
            named: Vec::new(),
            secure: Vec::new(),
        })
    }

    /// Whether TLS is spoken at an address.
    pub(super) fn is_tls(&self, listen: &str) -> bool {
        self.secure.iter().any(|address| address == listen)
    }

    /// The port that stands for an address.
    pub(super) fn port(&self, listen: &str) -> Option<u16> {
        self.ports.iter().find(|(address, _)| address == listen).map(|(_, port)| *port)
    }

    /// All ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().map(|(_, port)| *port)
    }

    /// Move a whole file.
    pub(super) fn rewrite(&mut self, directives: &[Directive]) -> Vec<Directive> {
        for http in directives.iter().filter(|directive| directive.name() == "http") {
            self.named.extend(http.all("upstream").map(|upstream| upstream.arg(0).to_owned()));
        }
        self.block(directives, "main")
    }

    fn block(&mut self, directives: &[Directive], around: &str) -> Vec<Directive> {
        let mut made = Vec::new();
        if around == "server" && !directives.iter().any(|directive| directive.name() == "listen") {
            made.extend(
                directives.first().map(|first| with(first, "listen", &["80"])).map(|listen| self.listen(&listen)),
            );
        }
        let is_quic =
            |directive: &Directive| directive.name() == "listen" && directive.texts().any(|word| word == "quic");
        for directive in directives {
            // The same address over TCP is asked.
            let again =
                |other: &Directive| other.name() == "listen" && !is_quic(other) && other.arg(0) == directive.arg(0);
            if is_quic(directive) && directives.iter().any(again) {
                continue;
            }
            // A second one would be the same file again.
            let of_tls = matches!(directive.name(), "ssl_certificate" | "ssl_certificate_key");
            if of_tls && made.iter().any(|known: &Directive| known.name() == directive.name()) {
                continue;
            }
            made.extend(self.one(directive, around));
        }
        made
    }

    fn one(&mut self, directive: &Directive, around: &str) -> Option<Directive> {
        let name = directive.name();
        if matches!(around, "map" | "geo" | "types" | "split_clients") {
            return Some(directive.clone());
        }
        let certificate = match name {
            "ssl_certificate" | "ssl_client_certificate" | "ssl_trusted_certificate" => Some(CERTIFICATE),
            "ssl_certificate_key" => Some(KEY),
            _ => None,
        };
        if let Some(file) = certificate {
            return Some(first(directive, &self.folder.join(file).display().to_string()));
        }
        // Peers are spoken with in the clear, and clients over HTTP/1.1.
        let is_left_out = LEFT_OUT.contains(&name)
            || name.starts_with("ssl") && !TLS_KEPT.contains(&name)
            || ["proxy_ssl", "http2", "http3", "quic"].iter().any(|of| name.starts_with(of))
            // What is not HTTP is not asked.
            || around == "main" && matches!(name, "stream" | "load_module");
        if is_left_out {
            return None;
        }
        Some(match name {
            "listen" => self.listen(directive),
            "server" if around == "upstream" => self.peer(directive),
            "proxy_pass" | "set" => self.pass(directive),
            "access_log" if directive.arg(0) != "off" => {
                let file = self.folder.join("access.log").display().to_string();
                first(directive, &file)
            }
            "limit_req_zone" => rates(directive),
            "root" | "alias" | "auth_basic_user_file"
                if !directive.arg(0).starts_with('/') && !directive.arg(0).contains('$') =>
            {
                let path = self.base.join(directive.arg(0)).display().to_string();
                first(directive, &path)
            }
            _ => {
                let block = directive.block.as_ref().map(|block| self.block(block, name));
                Directive { block, ..directive.clone() }
            }
        })
    }

    /// At a free port.
    fn listen(&mut self, directive: &Directive) -> Directive {
        let address = directive.arg(0).to_owned();
        let port = match self.port(&address) {
            Some(port) => port,
            None => {
                // Another program could take it before it is used; then that one does not start.
                let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
                let port = free.map_or(0, |address| address.port());
                self.ports.push((address, port));
                port
            }
        };
        let is_kept = |word: &&str| matches!(*word, "default_server" | "default" | "proxy_protocol" | "ssl");
        let kept = directive.texts().skip(1).filter(is_kept);
        if directive.texts().any(|word| word == "ssl") {
            self.secure.push(directive.arg(0).to_owned());
        }
        let words: Vec<String> = std::iter::once(format!("127.0.0.1:{port}")).chain(kept.map(str::to_owned)).collect();
        with(directive, "listen", &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The loopback address that stands for a peer's.
    fn at(&mut self, authority: &str) -> String {
        let number = self.peers.iter().position(|known| known == authority).unwrap_or_else(|| {
            self.peers.push(authority.to_owned());
            self.peers.len() - 1
        });
        let last = u8::try_from(number % 200 + 2).unwrap_or(2);
        format!("127.0.1.{last}:{}", self.backend)
    }

    fn peer(&mut self, directive: &Directive) -> Directive {
        let at = self.at(directive.arg(0));
        let mut made = first(directive, &at);
        made.args.retain(|word| word.text != "resolve" && !word.text.starts_with("service="));
        made
    }

    /// `proxy_pass`, and `set` of what may be its argument.
    fn pass(&mut self, directive: &Directive) -> Directive {
        let number = usize::from(directive.name() == "set");
        let text = directive.arg(number);
        let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
            return directive.clone();
        };
        let moved = if let Some(socket) = rest.strip_prefix("unix:") {
            let (path, uri) = socket.split_once(':').unwrap_or((socket, ""));
            format!("http://{}{uri}", self.at(path))
        } else {
            let end = rest.find(['/', '$', '?']).unwrap_or(rest.len());
            match rest.split_at_checked(end) {
                Some((authority, uri)) if !authority.is_empty() && !self.named.iter().any(|name| name == authority) => {
                    format!("http://{}{uri}", self.at(authority))
                }
                _ => format!("http://{rest}"),
            }
        };
        let mut made = directive.clone();
        if let Some(word) = made.args.get_mut(number) {
            word.text = moved;
        }
        made
    }
}

/// What depends on time would differ from run to run.
fn rates(directive: &Directive) -> Directive {
    let mut made = directive.clone();
    for word in &mut made.args {
        if word.text.starts_with("rate=") {
            word.text = "rate=100000r/s".to_owned();
        }
    }
    made
}

/// With another first argument.
fn first(directive: &Directive, text: &str) -> Directive {
    let mut made = directive.clone();
    if let Some(word) = made.args.first_mut() {
        word.text = text.to_owned();
    }
    made
}

/// A directive that stands where another does.
fn with(place: &Directive, name: &str, words: &[&str]) -> Directive {
    let word = |text: &str| Word { text: text.to_owned(), span: place.name.span.clone() };
    Directive { name: word(name), args: words.iter().map(|text| word(text)).collect(), block: None }
}
