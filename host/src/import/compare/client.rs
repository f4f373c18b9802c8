//! One request, one answer, over TLS where the program speaks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::corpus::Request;
use crate::tls::{Alpn, Client, ClientSettings, Roots, Version};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A frame with a masked text, as a client sends it.
const FRAME: &[u8] = b"\x81\x85\x00\x00\x00\x00hello";
/// Headers that are each program's own, or of the connection.
const OWN: [&str; 10] = [
    "date",
    "server",
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "etag",
    "vary",
    "accept-ranges",
    "alt-svc",
];

/// An answer, without what is each program's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status, or why there is none.
    pub(super) status: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// Whether there is one.
    pub(super) fn is_answer(&self) -> bool {
        self.status.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// A connection to a program.
trait Carries: Read + Write {}

impl<T: Read + Write> Carries for T {}

/// TLS that believes whatever certificate it is shown: both programs have the same.
pub(super) fn trusting() -> Result<Arc<ClientConfig>, String> {
    let versions = vec![Version::Tls12, Version::Tls13];
    let settings = ClientSettings { roots: Roots::Unchecked, identity: None, versions };
    Ok(Client::new(settings).map_err(|error| error.to_string())?.config(Alpn::Http1))
}

/// Ask a program at a port of the loopback address; with `tls` over that.
pub(super) fn ask(port: u16, request: &Request, tls: Option<&Arc<ClientConfig>>) -> Answer {
    match exchange(port, request, tls) {
        Ok(answer) => answer,
        // nginx: 444.
        Err(_) => Answer { status: "closed".to_owned(), ..Answer::default() },
    }
}

/// A connection on which HTTP can be spoken. `ahead` goes before TLS.
fn connect(
    port: u16,
    ahead: &str,
    host: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> std::io::Result<BufReader<Box<dyn Carries>>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(ahead.as_bytes())?;
    let Some(tls) = tls else { return Ok(BufReader::new(Box::new(stream))) };
    // A name that no certificate could have is sent in the request alone.
    let name = ServerName::try_from(host.to_owned()).unwrap_or(ServerName::from(Ipv4Addr::LOCALHOST));
    let session = ClientConnection::new(Arc::clone(tls), name).map_err(std::io::Error::other)?;
    Ok(BufReader::new(Box::new(StreamOwned::new(session, stream))))
}

fn exchange(port: u16, request: &Request, tls: Option<&Arc<ClientConfig>>) -> std::io::Result<Answer> {
    let asked = || {
        let mut reader = connect(port, request.ahead(), request.host(), tls)?;
        reader.get_mut().write_all(request.bytes().as_bytes())?;
        reader.get_mut().flush()?;
        Ok::<_, std::io::Error>(reader)
    };
    let mut beside = Vec::new();
    for _ in 0..request.beside {
        let mut reader = asked()?;
        // Answered: what comes next finds it open.
        reader.read_line(&mut String::new())?;
        beside.push(reader);
    }
    let mut reader = asked()?;
    let mut answer = Answer::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    answer.status = line.split(' ').nth(1).unwrap_or("none").trim().to_owned();
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (mut length, mut chunked, mut echoed) = (None, false, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().replace(&port.to_string(), "PORT"));
        match name.as_str() {
            "content-length" => length = value.parse::<u64>().ok(),
            "transfer-encoding" => chunked = true,
            "x-echo" => echoed = true,
            _ => {}
        }
        if !OWN.contains(&name.as_str()) {
            answer.headers.push((name, value));
        }
    }
    if answer.status == "101" {
        reader.get_mut().write_all(FRAME)?;
        reader.get_mut().flush()?;
        let mut back = vec![0; FRAME.len()];
        reader.read_exact(&mut back)?;
        answer.body = String::from_utf8_lossy(&back).into_owned();
        return Ok(answer);
    }
    if !request.is_head() {
        answer.body = body(&mut reader, length, chunked)?.replace(&port.to_string(), "PORT");
    }
    // Bodies of a program's own errors and redirects are its own, with their types.
    if !echoed && !answer.status.starts_with('2') {
        answer.body.clear();
        answer.headers.retain(|(name, _)| name != "content-type");
    }
    answer.headers.sort();
    Ok(answer)
}

fn body(reader: &mut impl BufRead, length: Option<u64>, chunked: bool) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if chunked {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
            if size == 0 {
                break;
            }
            reader.take(size).read_to_end(&mut bytes)?;
            reader.read_line(&mut line)?;
        }
    } else {
        reader.take(length.unwrap_or(1 << 20)).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
