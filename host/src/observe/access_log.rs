//! The access log: one line per exchange, written when it ended.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;

use crate::config::{self, LogFormat, LogTarget};
use crate::hook::{Summary, View};
use crate::message::Fields;

/// An open access log. nginx: `access_log`.
#[derive(Debug)]
pub struct AccessLog {
    file: File,
    format: LogFormat,
}

/// What a line says of the request, copied out of it: a tunnel may live for days, and must
/// not keep the buffer that its head was read into.
#[derive(Debug)]
pub struct LogFacts {
    client: IpAddr,
    user: Option<Box<str>>,
    request: Box<str>,
    referer: Option<Box<[u8]>>,
    user_agent: Option<Box<[u8]>>,
    upgrade: Option<Box<[u8]>>,
}

impl LogFacts {
    /// Copy out of a request what its line will say.
    pub fn of(view: &View) -> Self {
        Self {
            client: view.client.ip(),
            user: None,
            request: format!("{} {} {:?}", view.method, view.path_with_query, view.version).into(),
            referer: copy(&view.headers, "referer"),
            user_agent: copy(&view.headers, "user-agent"),
            upgrade: copy(&view.headers, "upgrade"),
        }
    }

    /// Who an authorizer says it is.
    pub fn set_user(&mut self, user: &str) {
        self.user = Some(user.into());
    }
}

fn copy(headers: &Fields, name: &str) -> Option<Box<[u8]>> {
    headers.get(name).map(Into::into)
}

thread_local! {
    /// The line being written, and the time of the second that it was last asked for.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static TIME: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
}

impl AccessLog {
    /// Open the log that the configuration names; none where it is off.
    ///
    /// # Errors
    /// Where the file cannot be opened for appending.
    pub fn open(config: &config::AccessLog) -> io::Result<Option<Self>> {
        let file = match &config.target {
            LogTarget::Off => return Ok(None),
            LogTarget::Stdout => File::from(rustix::io::dup(io::stdout())?),
            LogTarget::File(path) => OpenOptions::new().create(true).append(true).open(path)?,
        };
        Ok(Some(Self { file, format: config.format }))
    }

    /// Write one line, in one write as nginx does, so that lines of workers do not mix.
    pub fn write(&self, facts: &LogFacts, summary: &Summary) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let written = combined(line, facts, summary)
                .and_then(|()| match self.format {
                    LogFormat::Combined => Ok(()),
                    LogFormat::Upgrade => upgrade(line, facts, summary),
                })
                .and_then(|()| {
                    line.push(b'\n');
                    (&self.file).write_all(line)
                });
            if let Err(e) = written {
                tracing::error!(error = %e, "the access log cannot be written");
            }
        });
    }
}

/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
/// "$http_referer" "$http_user_agent"`
fn combined(line: &mut Vec<u8>, facts: &LogFacts, summary: &Summary) -> io::Result<()> {
    write!(line, "{} - ", facts.client)?;
    escaped(line, facts.user.as_deref().map(str::as_bytes));
    line.extend_from_slice(b" [");
    time_local(line);
    line.extend_from_slice(b"] \"");
    escaped(line, Some(facts.request.as_bytes()));
    write!(line, "\" {} {} \"", summary.status, summary.bytes_out)?;
    escaped(line, facts.referer.as_deref());
    line.extend_from_slice(b"\" \"");
    escaped(line, facts.user_agent.as_deref());
    line.push(b'"');
    Ok(())
}

/// ` upgrade="…" upstream=… time=SECONDS in=BYTES out=BYTES tunnel=BOOL cause=CODE`
fn upgrade(line: &mut Vec<u8>, facts: &LogFacts, summary: &Summary) -> io::Result<()> {
    line.extend_from_slice(b" upgrade=\"");
    escaped(line, facts.upgrade.as_deref());
    let (seconds, millis) = (summary.duration_us / 1_000_000, summary.duration_us / 1000 % 1000);
    write!(
        line,
        "\" upstream={} time={seconds}.{millis:03} in={} out={} tunnel={} cause={}",
        summary.upstream.as_deref().unwrap_or("-"),
        summary.bytes_in,
        summary.bytes_out,
        summary.tunnel,
        summary.cause,
    )
}

/// As nginx's `escape=default`: `"`, `\`, and bytes outside 32–126 as `\xXX`; `-` for nothing.
fn escaped(line: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value.filter(|v| !v.is_empty()) else {
        line.push(b'-');
        return;
    };
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..=31 | 127.. => line.extend_from_slice(format!("\\x{byte:02X}").as_bytes()),
            _ => line.push(*byte),
        }
    }
}

/// `20/Nov/2026:11:04:40 +0000`, worked out once a second.
fn time_local(line: &mut Vec<u8>) {
    let now = chrono::Local::now();
    TIME.with_borrow_mut(|(second, text)| {
        if *second != now.timestamp() {
            *second = now.timestamp();
            *text = now.format("%d/%b/%Y:%H:%M:%S %z").to_string();
        }
        line.extend_from_slice(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> LogFacts {
        LogFacts {
            client: IpAddr::from([192, 0, 2, 7]),
            user: None,
            request: "GET /a\"b HTTP/1.1".into(),
            referer: None,
            user_agent: Some(b"curl\xff/8\\".as_slice().into()),
            upgrade: Some(b"websocket".as_slice().into()),
        }
    }

    fn summary() -> Summary {
        Summary {
            status: 101,
            upstream: Some("127.0.0.1:9".into()),
            tunnel: true,
            cause: "done",
            duration_us: 61_004_999,
            bytes_in: 6,
            bytes_out: 7,
        }
    }

    #[test]
    fn combined_escapes_as_nginx_does() {
        let mut line = Vec::new();
        combined(&mut line, &facts(), &summary()).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert!(text.starts_with("192.0.2.7 - - ["), "{text}");
        assert!(text.ends_with("] \"GET /a\\x22b HTTP/1.1\" 101 7 \"-\" \"curl\\xFF/8\\x5C\""), "{text}");
    }

    #[test]
    fn upgrade_tells_of_the_tunnel() {
        let mut line = Vec::new();
        upgrade(&mut line, &facts(), &summary()).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, " upgrade=\"websocket\" upstream=127.0.0.1:9 time=61.004 in=6 out=7 tunnel=true cause=done");
    }
}
