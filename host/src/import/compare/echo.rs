//! The backend of a comparison: it answers with what it got, and switches to what it is asked
//! for, sending back what comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use base64::Engine;
use sha1::{Digest, Sha1};

/// What a head may have.
const MOST_HEAD: u64 = 1 << 20;
/// A connection that is silent for so long is left.
const PATIENCE: Duration = Duration::from_secs(30);

/// Start it, at all loopback addresses; its port.
pub(super) fn start() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::Builder::new().name("echo".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that cannot be served ends; the comparison shows it.
            let _served = std::thread::Builder::new().name("echo".into()).spawn(move || serve(stream));
        }
    })?;
    Ok(port)
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        let mut head = (&mut reader).take(MOST_HEAD);
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let value = |name: &str| {
            let line = lines.iter().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let told = told(&lines);
        if let (Some(token), Some(key)) = (value("upgrade"), value("sec-websocket-key")) {
            let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
            let accept = base64::engine::general_purpose::STANDARD.encode(digest);
            let told = told.replace('\n', " / ");
            write!(
                writer,
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {token}\r\nSec-WebSocket-Accept: {accept}\r\nX-Echo: {told}\r\n\r\n"
            )?;
            return std::io::copy(&mut reader, &mut writer).map(|_| ());
        }
        body(&mut reader, value("content-length"), value("transfer-encoding").is_some())?;
        let empty = lines.first().is_some_and(|line| line.starts_with("HEAD "));
        let text = if empty { "" } else { told.as_str() };
        let closes = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || lines.first().is_some_and(|line| line.ends_with("HTTP/1.0"));
        // Who is not told keeps the connection, and may send the next request on it as it goes.
        let connection = if closes { "Connection: close\r\n" } else { "" };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{connection}X-Echo: yes\r\n\r\n{text}",
            told.len()
        )?;
        if closes {
            return Ok(());
        }
    }
}

/// What it got, without what is of the connection, in an order that does not matter.
fn told(lines: &[String]) -> String {
    const OF_CONNECTION: [&str; 5] = ["connection:", "keep-alive:", "te:", "transfer-encoding:", "content-length:"];
    let mut lines = lines.iter();
    let start = lines.next().map_or("", |line| line.rsplit_once(' ').map_or(line.as_str(), |(start, _)| start));
    let mut headers: Vec<String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.trim()))
        .filter(|line| !OF_CONNECTION.iter().any(|start| line.starts_with(start)))
        .collect();
    headers.sort();
    format!("{start}\n{}\n", headers.join("\n"))
}

fn body(reader: &mut impl BufRead, length: Option<String>, is_chunked: bool) -> std::io::Result<()> {
    if is_chunked {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
            std::io::copy(&mut reader.take(size), &mut std::io::sink())?;
            reader.read_line(&mut line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).map(|_| ())
}
