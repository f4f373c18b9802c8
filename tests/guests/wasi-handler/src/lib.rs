//! An HTTP handler of WASI 0.2 that does what the path says: `Handler` has the list.

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "handler", generate_all });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};

/// What a piece of a body is read by.
const PIECE: u64 = 16 << 10;

/// `/echo` sends the body back, `/upper` in upper case; `/facts` says what it was asked; `/trailers`
/// ends with one; `/error` answers with an error, `/nothing` not at all; `/trap`, `/spin` and `/hog` do
/// so, `/late-trap` within the body, `/unfinished` leaves it without its end; `/endless` writes for ever;
/// `/fetch/HOST:PORT/PATH` says what came of a request there.
struct Handler;

impl Guest for Handler {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        match target.as_str() {
            "/nothing" => {}
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("as asked".to_owned())))),
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
            "/echo" | "/upper" => copy(&request, out, target == "/upper"),
            "/facts" => {
                let header = request.headers().get("x-fact").concat();
                let text = format!(
                    "{:?} {:?} {:?} {}",
                    request.method(),
                    request.scheme(),
                    request.authority(),
                    String::from_utf8_lossy(&header)
                );
                say(out, 200, &[&text], None);
            }
            "/trailers" => say(out, 201, &["one, ", "two"], Some(("x-sum", "2"))),
            "/late-trap" => {
                let body = begin(out, 200);
                write(&body, b"some");
                panic!("this guest traps");
            }
            "/unfinished" => write(&begin(out, 200), b"some"),
            "/endless" => {
                let body = begin(out, 200);
                while body.write().is_ok_and(|stream| stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok()) {}
            }
            _ => {
                let told = target.strip_prefix("/fetch/").map(fetch).unwrap_or_default();
                say(out, 200, &[&told], None);
            }
        }
    }
}

fn begin(out: ResponseOutparam, status: u16) -> OutgoingBody {
    let fields = Fields::new();
    let _set = fields.append("content-type", b"text/plain");
    let response = OutgoingResponse::new(fields);
    let _set = response.set_status_code(status);
    #[expect(clippy::unwrap_used, reason = "it is asked for once")]
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    body
}

fn write(body: &OutgoingBody, bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        let _gone = stream.blocking_write_and_flush(bytes);
    }
}

fn say(out: ResponseOutparam, status: u16, pieces: &[&str], trailer: Option<(&str, &str)>) {
    let body = begin(out, status);
    if let Ok(stream) = body.write() {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let _gone = stream.blocking_write_and_flush(piece.as_bytes());
        }
    }
    let trailers = trailer.map(|(name, value)| {
        let fields = Fields::new();
        let _set = fields.append(name, value.as_bytes());
        fields
    });
    let _gone = OutgoingBody::finish(body, trailers);
}

/// Send the body back piece by piece.
fn copy(request: &IncomingRequest, out: ResponseOutparam, upper: bool) {
    let asked = request.consume();
    let body = begin(out, 200);
    if let (Ok(asked), Ok(stream)) = (&asked, body.write()) {
        read(asked, |mut piece| {
            if upper {
                piece.make_ascii_uppercase();
            }
            piece.chunks(4096).all(|part| stream.blocking_write_and_flush(part).is_ok())
        });
    }
    let _gone = OutgoingBody::finish(body, None);
}

/// Read a body to its end, or until `take` wants no more.
fn read(body: &IncomingBody, mut take: impl FnMut(Vec<u8>) -> bool) {
    let Ok(stream) = body.stream() else { return };
    while let Ok(piece) = stream.blocking_read(PIECE) {
        if !take(piece) {
            return;
        }
    }
}

fn fetch(place: &str) -> String {
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let request = OutgoingRequest::new(Fields::new());
    let _set = request.set_scheme(Some(&Scheme::Http));
    let _set = request.set_authority(Some(authority));
    let _set = request.set_path_with_query(Some(&format!("/{path}")));
    let answer = match outgoing_handler::handle(request, None) {
        Ok(answer) => answer,
        Err(code) => return format!("{code:?}"),
    };
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(Ok(response))) => {
            let mut text = format!("{} ", response.status()).into_bytes();
            if let Ok(body) = response.consume() {
                read(&body, |piece| {
                    text.extend(piece);
                    true
                });
            }
            String::from_utf8_lossy(&text).into_owned()
        }
        Some(Ok(Err(code))) => format!("{code:?}"),
        other => format!("{:?}", other.is_some()),
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "exported functions are named by attributes that can break a program")]
mod export {
    super::bindings::export!(Handler with_types_in super::bindings);
    use super::Handler;
}
