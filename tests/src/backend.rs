//! Backends of several tempers, each on a port of its own, in threads of this process.
//!
//! A backend's failed expectation fails the test: [`Backend::join`], and dropping it,
//! pass on the panic of any of its threads.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use parking_lot::Mutex;

use crate::eventually::{eventually, patience};
use crate::head::Head;
use crate::http::{Request, Response, read_body};
use crate::wire::Wire;
use crate::ws;

/// A server for the subject to talk to.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    accepted: AtomicUsize,
    heads: Mutex<Vec<Head>>,
    streams: Mutex<HashMap<usize, TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a backend keeps open for as long as it likes is cut when it is joined; a
/// script's connection is not: the script says when it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Temper {
    Server,
    Script,
}

impl Backend {
    /// Runs `script` on each connection, with its number from 1.
    pub fn script(script: impl Fn(Wire, usize) + Send + Sync + 'static) -> Self {
        Self::start(Temper::Script, move |wire, number, _| script(wire, number))
    }

    /// Accepts every handshake and sends back every frame, unmasked and otherwise byte for
    /// byte; answers a close frame with the same and then ends. Anything but a handshake
    /// gets a 200 with the body `plain`.
    pub fn ws_echo() -> Self {
        Self::ws_echo_with("")
    }

    /// As [`Backend::ws_echo`], with more header lines in the 101.
    pub fn ws_echo_with(more: &'static str) -> Self {
        Self::start(Temper::Server, move |wire, _, shared| serve_echo(wire, shared, more, "plain"))
    }

    /// As [`Backend::ws_echo`], with this text in place of `plain`.
    pub fn ws_echo_named(name: &'static str) -> Self {
        Self::start(Temper::Server, move |wire, _, shared| serve_echo(wire, shared, "", name))
    }

    /// Answers each request with what `answer` says, and keeps connections open.
    pub fn http(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start(Temper::Server, move |wire, number, shared| serve_http(wire, number, shared, &answer))
    }

    /// As [`Backend::http`], at an address that the test has chosen before.
    pub fn http_on(listener: TcpListener, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start_on(listener, Temper::Server, move |wire, number, shared| serve_http(wire, number, shared, &answer))
    }

    /// As [`Backend::named`], at an address that the test has chosen before.
    pub fn named_on(listener: TcpListener, name: &'static str) -> Self {
        Self::http_on(listener, move |_| Response::text(name))
    }

    /// Answers each request with 200 and this text.
    pub fn named(name: &'static str) -> Self {
        Self::http(move |_| Response::text(name))
    }

    /// Answers each request with its request line as text.
    pub fn reflect() -> Self {
        Self::http(|request| Response::text(&request.head.start))
    }

    /// Takes connections and bytes and never says a word.
    pub fn silent() -> Self {
        Self::start(Temper::Server, |mut wire, _, _| while wire.try_read().is_ok_and(|piece| !piece.is_empty()) {})
    }

    /// Reads a head and resets the connection.
    pub fn resetting() -> Self {
        Self::start(Temper::Server, |mut wire, _, shared| {
            if let Some(head) = wire.try_read_head() {
                shared.heads.lock().push(head);
                wire.reset();
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// The heads of the requests it has been sent, in order (not by scripts).
    pub fn heads(&self) -> Vec<Head> {
        self.shared.heads.lock().clone()
    }

    /// The head of the only request it has been sent.
    #[track_caller]
    pub fn only_head(&self) -> Head {
        let heads = self.heads();
        assert_eq!(heads.len(), 1, "requests at the backend: {heads:?}");
        heads[0].clone()
    }

    /// Stop, wait for its connections to end, and pass on any of their panics.
    #[track_caller]
    pub fn join(mut self) {
        self.end();
    }

    fn start(temper: Temper, serve: impl Fn(Wire, usize, &Shared) + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").expect("a port for a backend"), temper, serve)
    }

    fn start_on(
        listener: TcpListener,
        temper: Temper,
        serve: impl Fn(Wire, usize, &Shared) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("the backend's address");
        let shared = Arc::new(Shared::default());
        let accepting = {
            let shared = Arc::clone(&shared);
            spawn(move || accept(&listener, temper, &shared, &Arc::new(serve)))
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    #[track_caller]
    fn end(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees `stop`.
        drop(TcpStream::connect(self.address));
        accepting.join().expect("the accepting thread");
        for stream in self.shared.streams.lock().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let threads: Vec<_> = self.shared.threads.lock().drain(..).collect();
        for thread in threads {
            eventually("a backend's connection to end (did the test end its side?)", || thread.is_finished());
            if let Err(cause) = thread.join() {
                std::panic::resume_unwind(cause);
            }
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.stop.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(self.address));
        } else {
            self.end();
        }
    }
}

fn accept<S>(listener: &TcpListener, temper: Temper, shared: &Arc<Shared>, serve: &Arc<S>)
where
    S: Fn(Wire, usize, &Shared) + Send + Sync + 'static,
{
    while let Ok((stream, _)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        if temper == Temper::Server {
            shared.streams.lock().insert(number, stream.try_clone().expect("clone a socket"));
        }
        let (theirs, serve) = (Arc::clone(shared), Arc::clone(serve));
        shared.threads.lock().push(spawn(move || {
            let kept = Kept { shared: &theirs, number };
            serve(Wire::new(stream), number, kept.shared);
        }));
    }
}

/// Lets go of the second handle on a connection when its thread is done with it, since a
/// connection closes with its last handle.
struct Kept<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.shared.streams.lock().remove(&self.number);
    }
}

fn serve_http(mut wire: Wire, number: usize, shared: &Shared, answer: &dyn Fn(&Request) -> Response) {
    wire.stream().set_read_timeout(None).expect("no read timeout");
    while let Some(head) = wire.try_read_head() {
        shared.heads.lock().push(head.clone());
        let body = read_body(&mut wire, &head, false);
        let last = head.lists("connection", "close") || head.start.ends_with("HTTP/1.0");
        let response = answer(&Request { head, body, connection: number });
        if wire.try_send(response.bytes()).is_err() || last {
            return;
        }
    }
}

fn serve_echo(mut wire: Wire, shared: &Shared, more: &str, name: &str) {
    wire.stream().set_read_timeout(None).expect("no read timeout");
    while let Some(head) = wire.try_read_head() {
        shared.heads.lock().push(head.clone());
        let key = head.get("sec-websocket-key").filter(|_| head.lists("connection", "upgrade"));
        let Some(key) = key else {
            let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            if wire.try_send(plain).is_err() {
                return;
            }
            continue;
        };
        if wire.try_send(ws::switching(key, more)).is_ok() {
            echo_frames(&mut wire);
        }
        return;
    }
}

/// Accept one handshake and send back every frame.
pub fn echo_once(mut wire: Wire) {
    let head = wire.read_head();
    wire.send(ws::switching(head.get("sec-websocket-key").expect("a handshake"), ""));
    echo_frames(&mut wire);
}

fn echo_frames(wire: &mut Wire) {
    while wire.has_more() {
        let frame = wire.read_frame();
        let reply = if frame.opcode == ws::PING { ws::Frame { opcode: ws::PONG, ..frame } } else { frame };
        if wire.try_send(reply.bytes()).is_err() || reply.opcode == ws::CLOSE {
            return;
        }
    }
}

/// An address that refuses connections. The port stays taken, so that nobody else comes
/// to listen there while the test runs.
#[derive(Debug)]
pub struct Refusing {
    socket: socket2::Socket,
}

impl Refusing {
    /// Take a port without listening on it.
    pub fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port to refuse at");
        Self { socket }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }
}

impl Default for Refusing {
    fn default() -> Self {
        Self::new()
    }
}

/// An address where connecting hangs: its accept queue is full and nobody accepts.
#[derive(Debug)]
pub struct Hanging {
    socket: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl Hanging {
    /// Listen with the shortest queue and fill it.
    pub fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port to hang at");
        socket.listen(0).expect("listen");
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300).min(patience())) {
            queued.push(stream);
            assert!(queued.len() < 64, "the accept queue of {address} does not fill");
        }
        Self { socket, _queued: queued }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }
}

impl Default for Hanging {
    fn default() -> Self {
        Self::new()
    }
}
