//! A small ACME server (RFC 8555): it checks what it is sent, looks whether names really lead to
//! the proxy, and fails where a test wants it to.

mod book;
mod jws;
mod look;
mod serve;

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;
use crate::eventually::patience;
use book::Book;

/// How a request fails that a test wants to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `badNonce`, with a good one for the next try.
    Nonce,
    /// `rateLimited`, for so many seconds.
    Rate(u64),
    /// A status of 500 without a problem document.
    Broken,
}

/// What a test has decided.
#[derive(Debug)]
struct Terms {
    /// Where names lead, for http-01 and for tls-alpn-01.
    ports: Option<(SocketAddr, SocketAddr)>,
    /// How long what is issued is valid.
    lifetime: Duration,
    /// How long ago it became valid when it is issued.
    age: Duration,
    /// When it shall be renewed (RFC 9773); none says nothing of it.
    window: Option<(SystemTime, SystemTime)>,
    /// The linked account that is asked for.
    linked: Option<(String, Vec<u8>)>,
    /// How the next requests fail, by the resource that they are for.
    failures: VecDeque<(&'static str, Failure)>,
}

struct Shared {
    authority: Authority,
    tls: Arc<ServerConfig>,
    address: SocketAddr,
    stop: AtomicBool,
    down: AtomicBool,
    terms: Mutex<Terms>,
    book: Mutex<Book>,
    wrong: Mutex<Vec<String>>,
}

/// An ACME server that runs. Dropping it ends it, and fails the test where it was sent what no
/// client may send.
pub struct Acme {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Acme {
    /// Start one, which issues for names that lead nowhere yet.
    pub fn start() -> Self {
        let authority = Authority::named("a test's ACME authority");
        let own = authority.issue(&["127.0.0.1"]);
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for an ACME server");
        let shared = Arc::new(Shared {
            authority,
            tls: Arc::new(tls),
            address: listener.local_addr().unwrap(),
            stop: AtomicBool::new(false),
            down: AtomicBool::new(false),
            terms: Mutex::new(Terms {
                ports: None,
                lifetime: Duration::from_secs(90 * 86_400),
                age: Duration::ZERO,
                window: None,
                linked: None,
                failures: VecDeque::new(),
            }),
            book: Mutex::default(),
            wrong: Mutex::default(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            spawn(move || accept(&listener, &shared))
        };
        Self { shared, thread: Some(thread) }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        self.shared.url("directory")
    }

    /// Who signs its own certificate, and those that it issues.
    pub fn authority(&self) -> &Authority {
        &self.shared.authority
    }

    /// Where names lead: to port 80 and to port 443.
    pub fn leads_to(&self, http: SocketAddr, tls: SocketAddr) {
        self.shared.terms.lock().ports = Some((http, tls));
    }

    /// How long what is issued from now on is valid, and how long ago that began.
    pub fn lifetime(&self, lifetime: Duration, age: Duration) {
        let mut terms = self.shared.terms.lock();
        (terms.lifetime, terms.age) = (lifetime, age);
    }

    /// When certificates shall be renewed.
    pub fn renew_within(&self, start: SystemTime, end: SystemTime) {
        self.shared.terms.lock().window = Some((start, end));
    }

    /// Ask for a linked account.
    pub fn ask_for_link(&self, kid: &str, key: &[u8]) {
        self.shared.terms.lock().linked = Some((kid.to_owned(), key.to_vec()));
    }

    /// The next request for a resource (`new-nonce`, `new-account`, `new-order`, `authorization`,
    /// `challenge`, `finalize`, `order`, `certificate`) fails.
    pub fn fail(&self, resource: &'static str, failure: Failure) {
        self.shared.terms.lock().failures.push_back((resource, failure));
    }

    /// Whether it is gone: connections are closed as they come.
    pub fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// The names of every order so far, in order.
    pub fn orders(&self) -> Vec<Vec<String>> {
        self.shared.book.lock().orders.iter().map(|order| order.names.clone()).collect()
    }

    /// What each order said that it replaces.
    pub fn replaced(&self) -> Vec<Option<String>> {
        self.shared.book.lock().orders.iter().map(|order| order.replaces.clone()).collect()
    }

    /// How many accounts were opened.
    pub fn accounts(&self) -> usize {
        self.shared.book.lock().accounts.len()
    }

    /// The contacts of the last one.
    pub fn contacts(&self) -> Vec<String> {
        self.shared.book.lock().accounts.last().map(|account| account.contact.clone()).unwrap_or_default()
    }

    /// The resources that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.book.lock().asked.clone()
    }

    /// What it issued last, as PEM with the authority's own after it.
    pub fn last_issued(&self) -> String {
        self.shared.book.lock().certificates.last().cloned().unwrap_or_default()
    }
}

impl Shared {
    fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.address)
    }
}

impl Drop for Acme {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees `stop`.
        drop(TcpStream::connect(self.shared.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the accepting thread");
        }
        let wrong = std::mem::take(&mut *self.shared.wrong.lock());
        assert!(wrong.is_empty() || std::thread::panicking(), "the ACME server was sent: {wrong:#?}");
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if !shared.down.load(Ordering::SeqCst) {
            let shared = Arc::clone(shared);
            // It ends with its one request, or when it has been patient for long enough.
            spawn(move || answer(stream, &shared));
        }
    }
}

/// One request on one connection. Who leaves in between is no failure: a test may be over.
fn answer(stream: TcpStream, shared: &Arc<Shared>) -> Option<()> {
    stream.set_read_timeout(Some(patience())).ok()?;
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&shared.tls)).unwrap(), stream);
    let mut bytes = Vec::new();
    let (head, length) = loop {
        read(&mut stream, &mut bytes)?;
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8(bytes.drain(..end + 4).collect()).ok()?;
            let line = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
            break (head, line.map_or(0, |line| line.trim().parse().unwrap()));
        }
    };
    while bytes.len() < length {
        read(&mut stream, &mut bytes)?;
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let reply = serve::serve(shared, method, path, &head, &bytes);
    stream.write_all(&reply.bytes(method == "HEAD")).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

fn read(stream: &mut StreamOwned<ServerConnection, TcpStream>, into: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
    into.extend_from_slice(&piece[..n]);
    Some(())
}
