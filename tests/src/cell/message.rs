//! Requests and answers as whole messages, over any version on either side.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode};

use super::{Down, HOST, Running, Trust, Up, over_http3};
use crate::backend::Backend;
use crate::front::{self, Front};
use crate::head::Head;
use crate::http::{Response, read_body};
use crate::http2::client::{Client, run};
use crate::http2::{self, Call, Http2, Offer};
use crate::http3;
use crate::wire::Wire;

/// What a client asks.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Its method; GET where it is empty.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Lines, and beside them none but `Host`.
    pub lines: Vec<(String, String)>,
    /// The body; none where it is empty and there are no trailers.
    pub body: Vec<u8>,
    /// Lines behind the body.
    pub trailers: Vec<(&'static str, &'static str)>,
}

/// What it is answered; lines as a map, since they come in lower case over HTTP/2.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Interim answers before it.
    pub interim: Vec<u16>,
    /// The status.
    pub status: u16,
    /// The lines.
    pub lines: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// Lines behind the body.
    pub trailers: HeaderMap,
}

/// What a peer was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The lines.
    pub lines: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// Lines behind the body.
    pub trailers: HeaderMap,
}

impl Ask {
    /// GET a path.
    pub fn get(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// With a line.
    #[must_use]
    pub fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// POST with a body.
    pub fn post(path: &str, body: Vec<u8>) -> Self {
        Self { method: "POST", body, ..Self::get(path) }
    }

    pub(super) fn verb(&self) -> &'static str {
        if self.method.is_empty() { "GET" } else { self.method }
    }
}

impl Answer {
    /// 200 with a body.
    pub fn with(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    /// One without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// With a line.
    #[must_use]
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        self.lines.append(name, value.parse().unwrap());
        self
    }

    /// A line's value; empty where it is not there.
    pub fn line(&self, name: &str) -> &str {
        self.lines.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Running {
    /// Ask over a connection of its own.
    pub fn ask(&self, ask: &Ask) -> Answer {
        let address = self.proxy.address();
        match self.down {
            Down::H1 => over_http1(Wire::connect(address), ask),
            Down::H1Tls => over_http1(self.trust.client().connect(address), ask),
            Down::H2 | Down::H2Tls => run(async { over_http2(&self.http2().await, ask, self.down.scheme()).await }),
            Down::H3 => {
                run(async { over_http3::ask(&http3::Client::connect(address, &self.trust.client()).await, ask).await })
            }
        }
    }

    /// GET a path.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&Ask::get(path))
    }

    /// GET a path whose answer must begin like this and then break off; it is said when the
    /// beginning is there.
    pub fn get_broken(&self, path: &str, begins: &[u8], arrived: impl FnOnce()) -> Vec<u8> {
        let address = self.proxy.address();
        let ask = Ask::get(path);
        match self.down {
            Down::H1 | Down::H1Tls => {
                let mut wire = match self.down {
                    Down::H1 => Wire::connect(address),
                    _ => self.trust.client().connect(address),
                };
                wire.send(http1_bytes(&ask));
                assert!(wire.read_head().lists("transfer-encoding", "chunked"));
                let chunk = crate::http::read_chunk(&mut wire);
                arrived();
                wire.expect_end();
                chunk
            }
            Down::H2 | Down::H2Tls => run(async {
                let client = self.http2().await;
                let request = Request::get(format!("{}://{HOST}{path}", self.down.scheme()));
                let (answer, _) = client.begin(request.body(()).unwrap(), true).await;
                let (mut recv, mut body) = (answer.await.expect("a head").into_body(), Vec::new());
                while body.len() < begins.len() {
                    body.extend_from_slice(&http2::read(&mut recv).await.expect("a half").expect("a half"));
                }
                arrived();
                let end = http2::read(&mut recv).await;
                assert!(end.as_ref().is_err_and(h2::Error::is_reset), "{end:?}");
                body
            }),
            Down::H3 => run(over_http3::get_broken(&self.trust.client(), address, path, begins, arrived)),
        }
    }

    async fn http2(&self) -> Client {
        let address = self.proxy.address();
        match self.down {
            Down::H2Tls => Client::connect_tls(address, &self.trust.client()).await,
            _ => Client::connect(address).await,
        }
    }
}

fn over_http1(mut wire: Wire, ask: &Ask) -> Answer {
    let mut writer = wire.writer();
    let asked = ask.clone();
    let sending = std::thread::spawn(move || {
        // An early answer may end the connection before all is sent.
        let _early = writer.try_send(http1_bytes(&asked));
    });
    let mut interim = Vec::new();
    let head = loop {
        let head = wire.read_head();
        if head.status() >= 200 {
            break head;
        }
        interim.push(head.status());
    };
    let body = read_body(&mut wire, &head, ask.method == "HEAD");
    drop(wire);
    sending.join().expect("the sending thread");
    let status = head.status();
    Answer { interim, status, lines: map(&head.headers), body: body.data, trailers: map(&body.trailers) }
}

fn http1_bytes(ask: &Ask) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {HOST}\r\n", ask.verb(), ask.path);
    for (name, value) in &ask.lines {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !ask.trailers.is_empty() {
        let trailers: String = ask.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        head.push_str(&format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", ask.body.len()));
        return [head.as_bytes(), &ask.body, b"\r\n0\r\n", trailers.as_bytes(), b"\r\n"].concat();
    }
    if !ask.body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", ask.body.len()));
    }
    [head.as_bytes(), b"\r\n", &ask.body].concat()
}

async fn over_http2(client: &Client, ask: &Ask, scheme: &str) -> Answer {
    let mut request = Request::builder().method(ask.verb()).uri(format!("{scheme}://{HOST}{}", ask.path));
    for (name, value) in &ask.lines {
        request = request.header(name, value);
    }
    if ask.trailers.is_empty() && !ask.body.is_empty() {
        request = request.header("content-length", ask.body.len());
    }
    let ends = ask.body.is_empty() && ask.trailers.is_empty();
    let (mut answer, mut send) = client.begin(request.body(()).unwrap(), ends).await;
    let sending = async {
        if !ends && http2::send_all(&mut send, &ask.body).await {
            if ask.trailers.is_empty() {
                http2::end(&mut send);
            } else {
                let trailers: Vec<_> = ask.trailers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
                send.send_trailers(map(&trailers)).expect("trailers are taken");
            }
        }
    };
    let receiving = async {
        let mut interim = Vec::new();
        while let Some(early) = std::future::poll_fn(|cx| answer.poll_informational(cx)).await {
            interim.push(early.expect("an interim answer").status().as_u16());
        }
        let (parts, mut recv) = answer.await.expect("an answer").into_parts();
        let body = http2::read_all(&mut recv).await;
        let trailers = recv.trailers().await.expect("the end").unwrap_or_default();
        Answer { interim, status: parts.status.as_u16(), lines: parts.headers, body, trailers }
    };
    let mut sending = Box::pin(sending);
    let mut receiving = Box::pin(receiving);
    // An early answer ends the exchange, whatever is not sent yet.
    let answer = tokio::select! {
        answer = &mut receiving => answer,
        () = &mut sending => receiving.await,
    };
    drop(sending);
    answer
}

pub(super) fn map(lines: &[(String, String)]) -> HeaderMap {
    let mut made = HeaderMap::new();
    for (name, value) in lines {
        made.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    made
}

/// A peer that answers whole messages with whole messages.
pub struct MessagePeer {
    // Dropped before what it stands before.
    front: Option<Front>,
    inner: Inner,
}

enum Inner {
    Http1(Backend),
    Http2(Http2),
}

impl MessagePeer {
    /// Serve with what `answer` says.
    pub fn serve(up: Up, trust: &Trust, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let inner = if up.is_h2() {
            let answer = Arc::new(answer);
            Inner::Http2(Http2::serve(Offer { tunnels: true, ..Offer::default() }, move |call| {
                let answer = Arc::clone(&answer);
                async move { answer_call(call, &*answer).await }
            }))
        } else {
            Inner::Http1(Backend::http(move |request| {
                let head = &request.head;
                to_http1(
                    head,
                    &answer(&Asked {
                        method: head.method().to_owned(),
                        target: head.target().to_owned(),
                        lines: map(&head.headers),
                        body: request.body.data.clone(),
                        trailers: map(&request.body.trailers),
                    }),
                )
            }))
        };
        let address = match &inner {
            Inner::Http1(backend) => backend.address(),
            Inner::Http2(backend) => backend.address(),
        };
        let protocols: &[&str] = if up.is_h2() { &["h2"] } else { &["http/1.1"] };
        let front = up.is_tls().then(|| front::tls(&trust.certified).protocols(protocols).before(address));
        Self { front, inner }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match (&self.front, &self.inner) {
            (Some(front), _) => front.address(),
            (None, Inner::Http1(backend)) => backend.address(),
            (None, Inner::Http2(backend)) => backend.address(),
        }
    }

    /// Stop, and pass on any panic.
    pub fn join(self) {
        drop(self.front);
        match self.inner {
            Inner::Http1(backend) => backend.join(),
            Inner::Http2(backend) => backend.join(),
        }
    }
}

fn to_http1(asked: &Head, answer: &Answer) -> Response {
    let mut bytes = Vec::new();
    for interim in &answer.interim {
        bytes.extend_from_slice(format!("HTTP/1.1 {interim} Early\r\nX-Early: 1\r\n\r\n").as_bytes());
    }
    let mut head = format!("HTTP/1.1 {} Because\r\n", answer.status);
    for (name, value) in &answer.lines {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let trailers: String =
        answer.trailers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    let length = answer.body.len();
    if trailers.is_empty() {
        if !matches!(answer.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
    } else {
        head.push_str(&format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"));
    }
    bytes.extend_from_slice(head.as_bytes());
    if asked.method() != "HEAD" {
        bytes.extend_from_slice(&answer.body);
    }
    if !trailers.is_empty() {
        bytes.extend_from_slice(format!("\r\n0\r\n{trailers}\r\n").as_bytes());
    }
    Response::raw(bytes)
}

async fn answer_call(mut call: Call, answer: &(dyn Fn(&Asked) -> Answer + Send + Sync)) {
    let body = http2::read_all(call.request.body_mut()).await;
    let trailers = call.request.body_mut().trailers().await.expect("the request's end").unwrap_or_default();
    let target = call.request.uri().path_and_query().expect("a path").to_string();
    let (method, lines) = (call.request.method().to_string(), call.request.headers().clone());
    let is_head = method == "HEAD";
    let answer = answer(&Asked { method, target, lines, body, trailers });
    for interim in &answer.interim {
        let early = http::Response::builder().status(*interim).header("x-early", "1").body(()).unwrap();
        call.respond.send_informational(early).expect("send an interim answer");
    }
    let mut made = http::Response::new(());
    *made.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    *made.headers_mut() = answer.lines;
    if answer.trailers.is_empty() && !matches!(answer.status, 204 | 304) {
        made.headers_mut().insert("content-length", answer.body.len().into());
    }
    let ends = is_head || answer.body.is_empty() && answer.trailers.is_empty();
    let mut send = call.respond.send_response(made, ends).expect("send an answer");
    if !ends {
        http2::send_all(&mut send, &answer.body).await;
        if answer.trailers.is_empty() {
            let _gone = send.send_data(Bytes::new(), true);
        } else {
            send.send_trailers(answer.trailers).expect("send trailers");
        }
    }
}
