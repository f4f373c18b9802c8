//! An HTTP handler of WASI 0.3 that does what the path says: `Handler` has the list.

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "generated code")]
#[allow(clippy::allow_attributes_without_reason, clippy::too_many_lines, reason = "generated code")]
#[allow(clippy::needless_pass_by_value, clippy::uninlined_format_args, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "handler", generate_all });
}

use std::fmt::Write;

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::cli::{environment, stdout};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::http::client;
use bindings::wasi::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use bindings::wasi::sockets::ip_name_lookup;
use bindings::wasi::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use bindings::{wit_future, wit_stream};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn_local};

/// What a piece of a body is read by.
const PIECE: usize = 16 << 10;

/// How a body ended.
type Ended = Result<Option<Fields>, ErrorCode>;

/// `/echo` sends the body back, `/upper` in upper case, `/pass` as the stream that it came as; `/facts` says what it
/// was asked; `/trailers` ends with one; `/error` answers with an error; `/trap`, `/spin` and `/hog` do so,
/// `/late-trap` within the body, `/unfinished` ends it with an error; `/endless` writes for ever; `/sleep` waits for
/// 30 ms between two words, `/stuck` for ever; `/probe/PORT` says what there is of WASI, and prints a line;
/// `/fetch/HOST:PORT/PATH` says what came of a request there.
struct Handler;

impl Guest for Handler {
    #[expect(clippy::panic, reason = "what this guest is for")]
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        match target.as_str() {
            "/error" => Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
            "/trap" => panic!("this guest traps"),
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/hog" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(std::hint::black_box(vec![1; 1 << 20]));
                }
            }
            "/stuck" => loop {
                monotonic_clock::wait_for(u64::MAX).await;
            },
            "/echo" | "/upper" => Ok(copy(request, target == "/upper")),
            "/pass" => Ok(pass(request)),
            "/facts" => Ok(say(200, &[&facts(&request)], None)),
            "/trailers" => Ok(say(201, &["one, ", "two"], Some(("x-sum", "2")))),
            "/late-trap" => Ok(respond(200, async |out| {
                out.write_all(b"some".to_vec()).await;
                panic!("this guest traps");
            })),
            "/unfinished" => Ok(respond(200, async |out| {
                out.write_all(b"some".to_vec()).await;
                Err(ErrorCode::InternalError(Some("as asked".to_owned())))
            })),
            "/endless" => Ok(respond(200, async |out| {
                while out.write_all(vec![b'x'; 4096]).await.is_empty() {}
                Ok(None)
            })),
            "/sleep" => Ok(respond(200, async |out| {
                out.write_all(b"before ".to_vec()).await;
                monotonic_clock::wait_for(30_000_000).await;
                out.write_all(b"after".to_vec()).await;
                Ok(None)
            })),
            _ => {
                let told = match (target.strip_prefix("/fetch/"), target.strip_prefix("/probe/")) {
                    (Some(place), _) => fetch(place).await,
                    (_, Some(port)) => probe(port.parse().unwrap_or_default()).await,
                    _ => String::new(),
                };
                Ok(say(200, &[&told], None))
            }
        }
    }
}

/// Answer with what `write` writes, which goes on after the head.
fn respond<F>(status: u16, write: F) -> Response
where
    F: AsyncFnOnce(&mut StreamWriter<u8>) -> Ended + 'static,
{
    let (mut out, body) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let response = head(status, body, trailers);
    spawn_local(async move {
        let ended = write(&mut out).await;
        drop(out);
        let _gone = end.write(ended).await;
    });
    response
}

fn head(status: u16, body: StreamReader<u8>, trailers: wit_bindgen::FutureReader<Ended>) -> Response {
    let fields = Fields::new();
    let _set = fields.append("content-type", b"text/plain");
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    let _set = response.set_status_code(status);
    response
}

fn say(status: u16, pieces: &[&str], trailer: Option<(&'static str, &'static str)>) -> Response {
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    respond(status, async move |out| {
        for piece in pieces {
            out.write_all(piece).await;
        }
        Ok(trailer.map(|(name, value)| {
            let fields = Fields::new();
            let _set = fields.append(name, value.as_bytes());
            fields
        }))
    })
}

fn facts(request: &Request) -> String {
    let header = request.get_headers().get("x-fact").concat();
    let header = String::from_utf8_lossy(&header);
    format!("{:?} {:?} {:?} {header}", request.get_method(), request.get_scheme(), request.get_authority())
}

/// Send the body back piece by piece.
fn copy(request: Request, upper: bool) -> Response {
    let (judged, verdict) = wit_future::new(|| Ok(()));
    let (mut asked, trailers) = Request::consume_body(request, verdict);
    respond(200, async move |out| {
        read(&mut asked, async |mut piece| {
            if upper {
                piece.make_ascii_uppercase();
            }
            out.write_all(piece).await.is_empty()
        })
        .await;
        drop(asked);
        let _gone = judged.write(Ok(())).await;
        trailers.await
    })
}

/// Send the body back as the stream that it came as.
fn pass(request: Request) -> Response {
    let (judged, verdict) = wit_future::new(|| Ok(()));
    spawn_local(async move {
        let _gone = judged.write(Ok(())).await;
    });
    let (asked, trailers) = Request::consume_body(request, verdict);
    head(200, asked, trailers)
}

/// Read a body to its end, or until `take` wants no more.
async fn read(body: &mut StreamReader<u8>, mut take: impl AsyncFnMut(Vec<u8>) -> bool) {
    loop {
        let (status, piece) = body.read(Vec::with_capacity(PIECE)).await;
        if (!piece.is_empty() && !take(piece).await) || status == StreamResult::Dropped {
            return;
        }
    }
}

async fn fetch(place: &str) -> String {
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    spawn_local(async move {
        let _gone = end.write(Ok(None)).await;
    });
    let _set = request.set_scheme(Some(&Scheme::Http));
    let _set = request.set_authority(Some(authority));
    let _set = request.set_path_with_query(Some(&format!("/{path}")));
    let response = match client::send(request).await {
        Ok(response) => response,
        Err(code) => return format!("{code:?}"),
    };
    let mut text = format!("{} ", response.get_status_code()).into_bytes();
    let (judged, verdict) = wit_future::new(|| Ok(()));
    let (mut body, _trailers) = Response::consume_body(response, verdict);
    read(&mut body, async |piece| {
        text.extend(piece);
        true
    })
    .await;
    drop(body);
    let _gone = judged.write(Ok(())).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// What there is of WASI.
async fn probe(port: u16) -> String {
    let mut told = format!(
        "environment {:?}, arguments {:?}, folders {}",
        environment::get_environment(),
        environment::get_arguments(),
        preopens::get_directories().len()
    );
    let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    let _written = match TcpSocket::create(IpAddressFamily::Ipv4) {
        Ok(socket) => write!(told, ", connect {:?}", socket.connect(address).await),
        Err(code) => write!(told, ", socket {code:?}"),
    };
    let names = ip_name_lookup::resolve_addresses("localhost".to_owned()).await;
    let _written = write!(told, ", name {:?}", names.map(|found| found.len()));
    let (mut out, line) = wit_stream::new();
    let printed = stdout::write_via_stream(line);
    out.write_all(b"this guest prints\n".to_vec()).await;
    drop(out);
    let _written = write!(told, ", print {:?}", printed.await);
    told
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "exported functions are named by attributes that can break a program")]
mod export {
    super::bindings::export!(Handler with_types_in super::bindings);
    use super::Handler;
}
