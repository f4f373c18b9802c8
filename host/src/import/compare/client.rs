//! One request, one answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::corpus::Request;

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

/// Ask a program at a port of the loopback address.
pub(super) fn ask(port: u16, request: &Request) -> Answer {
    match exchange(port, request) {
        Ok(answer) => answer,
        // nginx: 444.
        Err(_) => Answer { status: "closed".to_owned(), ..Answer::default() },
    }
}

fn exchange(port: u16, request: &Request) -> std::io::Result<Answer> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    writer.write_all(request.bytes().as_bytes())?;
    let mut reader = BufReader::new(stream);
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
        writer.write_all(FRAME)?;
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
