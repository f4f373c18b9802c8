//! A backend that speaks HTTP/2, made with the server of the crate `h2`, in a thread with a
//! runtime of its own.
//!
//! As with the other backends, a failed expectation in it fails the test: [`Http2::join`], and
//! dropping it, pass on the panic of any of its streams.

pub mod client;
pub mod frames;

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::backend::echo_once;
use crate::wire::Wire;

/// What a backend offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offer {
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441).
    pub tunnels: bool,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub streams: Option<u32>,
    /// SETTINGS_INITIAL_WINDOW_SIZE.
    pub window: Option<u32>,
}

/// An HTTP/2 backend.
pub struct Http2 {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// What a backend has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    http1: AtomicUsize,
    ended: AtomicUsize,
    failures: Mutex<Vec<Box<dyn Any + Send>>>,
}

/// One request.
pub struct Call {
    /// Its head and body.
    pub request: Request<RecvStream>,
    /// Where the answer goes.
    pub respond: SendResponse<Bytes>,
    /// Which connection it came over, from 1.
    pub connection: usize,
    /// What can be done to the connection.
    pub control: Control,
}

/// What can be done to a connection.
#[derive(Clone)]
pub struct Control(mpsc::UnboundedSender<Told>);

enum Told {
    Leave,
    Drop,
}

/// What answers a request.
pub type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Control {
    /// GOAWAY: no new streams, those under way go on.
    pub fn leave(&self) {
        let _ended = self.0.send(Told::Leave);
    }

    /// Close the connection under its streams.
    pub fn drop_connection(&self) {
        let _ended = self.0.send(Told::Drop);
    }
}

impl Http2 {
    /// Serve with prior knowledge: `answer` answers each request.
    pub fn serve<F: Future<Output = ()> + Send + 'static>(
        offer: Offer,
        answer: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for a backend");
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().expect("the backend's address");
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let server = Server { offer, seen: Arc::clone(&seen), answer: Arc::new(move |call| Box::pin(answer(call))) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(server.run(listener, stopped));
        });
        Self { address, seen, thread: Some(thread), stop: Some(stop) }
    }

    /// Sends back the body of every request, and every byte of a tunnel; a request without a
    /// body is answered with its method, path and authority.
    pub fn echo(offer: Offer) -> Self {
        Self::serve(offer, |call| async move {
            if call.is_tunnel() {
                let (mut recv, mut send) = call.open_tunnel(&[]);
                copy(&mut recv, &mut send).await;
                end(&mut send);
                return;
            }
            let mut call = call;
            if call.request.body().is_end_stream() {
                let uri = call.request.uri();
                let text = format!("{} {} {}", call.request.method(), uri.path(), uri.authority().unwrap());
                return call.text(&text).await;
            }
            let mut send = call.respond.send_response(Response::new(()), false).unwrap();
            copy(call.request.body_mut(), &mut send).await;
            end(&mut send);
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came with HTTP/1.1: each is taken for a handshake, and echoes frames.
    pub fn http1(&self) -> usize {
        self.seen.http1.load(Ordering::SeqCst)
    }

    /// How many connections of HTTP/2 it has taken.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many of them have ended.
    pub fn ended(&self) -> usize {
        self.seen.ended.load(Ordering::SeqCst)
    }

    /// Stop, and pass on any panic.
    #[track_caller]
    pub fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        thread.join().expect("the backend's thread");
        let failure = self.seen.failures.lock().pop();
        if let Some(cause) = failure.filter(|_| !std::thread::panicking()) {
            std::panic::resume_unwind(cause);
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Clone)]
struct Server {
    offer: Offer,
    seen: Arc<Seen>,
    answer: Arc<dyn Fn(Call) -> Answering + Send + Sync>,
}

impl Server {
    async fn run(self, listener: std::net::TcpListener, mut stopped: oneshot::Receiver<()>) {
        let listener = TcpListener::from_std(listener).expect("listen");
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                accepted = listener.accept() => {
                    let (stream, _) = accepted.expect("accept");
                    stream.set_nodelay(true).unwrap();
                    self.watch(self.clone().connection(stream));
                }
            }
        }
    }

    /// Run a task whose panic is passed on.
    fn watch(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (task, seen) = (tokio::spawn(task), Arc::clone(&self.seen));
        tokio::spawn(async move {
            if let Err(failed) = task.await
                && failed.is_panic()
            {
                seen.failures.lock().push(failed.into_panic());
            }
        });
    }

    async fn connection(self, stream: TcpStream) {
        let mut start = [0; 3];
        if stream.peek(&mut start).await.is_ok_and(|n| n > 0) && start.starts_with(b"GET") {
            self.seen.http1.fetch_add(1, Ordering::SeqCst);
            let stream = stream.into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            return tokio::task::spawn_blocking(|| echo_once(Wire::new(stream))).await.expect("an echo");
        }
        let number = self.seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
        self.serve(stream, number).await;
        self.seen.ended.fetch_add(1, Ordering::SeqCst);
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, number: usize) {
        let mut builder = Builder::new();
        if self.offer.tunnels {
            builder.enable_connect_protocol();
        }
        if let Some(most) = self.offer.streams {
            builder.max_concurrent_streams(most);
        }
        if let Some(window) = self.offer.window {
            builder.initial_window_size(window);
        }
        // Who does not speak HTTP/2, or leaves within the preface, is no failure of this side.
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
        let (tell, mut told) = mpsc::unbounded_channel();
        let control = Control(tell);
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        let control = control.clone();
                        self.watch((self.answer)(Call { request, respond, connection: number, control }));
                    }
                    _ => return,
                },
                Some(told) = told.recv() => match told {
                    Told::Leave => connection.graceful_shutdown(),
                    Told::Drop => return,
                },
            }
        }
    }
}

impl Call {
    /// Whether it is extended CONNECT for a WebSocket (RFC 8441).
    pub fn is_tunnel(&self) -> bool {
        let protocol = self.request.extensions().get::<h2::ext::Protocol>();
        self.request.method() == http::Method::CONNECT && protocol.is_some_and(|p| p.as_str() == "websocket")
    }

    /// A header's value; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.request.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Answer with 200 and this text.
    pub async fn text(mut self, text: &str) {
        let mut send = self.respond.send_response(Response::new(()), text.is_empty()).unwrap();
        if !text.is_empty() {
            send_all(&mut send, text.as_bytes()).await;
            end(&mut send);
        }
    }

    /// Answer with a status and no body.
    pub fn status(mut self, status: u16) {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        self.respond.send_response(answer, true).unwrap();
    }

    /// Accept a tunnel, with these header lines.
    pub fn open_tunnel(mut self, lines: &[(&'static str, &str)]) -> (RecvStream, SendStream<Bytes>) {
        let mut answer = Response::new(());
        for (name, value) in lines {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        let send = self.respond.send_response(answer, false).unwrap();
        (self.request.into_body(), send)
    }
}

/// The next bytes; none at END_STREAM. Opens the window for as many.
///
/// # Errors
/// What the stream says.
pub async fn read(recv: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(data) = recv.data().await.transpose()? else { return Ok(None) };
    let _over = recv.flow_control().release_capacity(data.len());
    Ok(Some(data))
}

/// Everything up to END_STREAM.
pub async fn read_all(recv: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = read(recv).await.expect("the rest of a stream") {
        all.extend_from_slice(&data);
    }
    all
}

/// Send all of these bytes as the windows allow; whether the other side took them.
pub async fn send_all(send: &mut SendStream<Bytes>, bytes: &[u8]) -> bool {
    let mut left = Bytes::copy_from_slice(bytes);
    while !left.is_empty() {
        send.reserve_capacity(left.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return false };
        let part = left.split_to(room.min(left.len()));
        if send.send_data(part, false).is_err() {
            return false;
        }
    }
    true
}

/// END_STREAM.
pub fn end(send: &mut SendStream<Bytes>) {
    // The other side may have gone by now.
    let _gone = send.send_data(Bytes::new(), true);
}

/// Send back what comes until END_STREAM; whether it came to that.
pub async fn copy(recv: &mut RecvStream, send: &mut SendStream<Bytes>) -> bool {
    loop {
        match read(recv).await {
            Ok(Some(data)) if send_all(send, &data).await => {}
            Ok(None) => return true,
            _ => return false,
        }
    }
}
