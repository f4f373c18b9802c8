//! The first bytes of a connection, looked at and left where they are: whoever serves it reads
//! all of them, be it rustls, HTTP or the kernel that splices them to a peer.

use std::cell::RefCell;
use std::io;

use rustix::io::ioctl_fionread;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::hello::{self, Hello, Looked};

thread_local! {
    /// One for each worker, used within one look only.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; hello::MOST].into());
}

/// What a connection begins with.
#[derive(Debug)]
pub(super) enum Seen {
    /// A TLS client's hello.
    Hello(Hello),
    /// Something else.
    Other,
    /// A hello that is longer than anyone's.
    TooLong,
    /// Nothing, or a part of a hello: the client has left.
    Left,
}

/// Wait until it is known what a connection begins with.
///
/// # Errors
/// Those of the socket.
pub(super) async fn peek(stream: &TcpStream) -> io::Result<Seen> {
    let mut wanted = 1;
    loop {
        // Before the look: with the end all that came before it is there.
        let ready = stream.ready(Interest::READABLE).await?;
        // `WouldBlock` takes the readiness back, so that what has been seen does not wake again.
        match stream.try_io(Interest::READABLE, || look(stream, wanted)) {
            Ok(Looked::Needs(more)) => wanted = more,
            Ok(Looked::Hello(hello)) => return Ok(Seen::Hello(hello)),
            Ok(Looked::Other) => return Ok(Seen::Other),
            Ok(Looked::TooLong) => return Ok(Seen::TooLong),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_too_few) if ready.is_read_closed() => return Ok(Seen::Left),
            Err(_too_few) => {}
        }
    }
}

/// Look, where there are as many bytes as are wanted: of many small segments not every one costs
/// a copy of all before it.
fn look(stream: &TcpStream, wanted: usize) -> io::Result<Looked> {
    if ioctl_fionread(stream)? < wanted as u64 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    BUFFER.with_borrow_mut(|buffer| {
        let (_, read) = recv(stream, &mut **buffer, RecvFlags::PEEK)?;
        Ok(hello::look(buffer.get(..read).unwrap_or_default()))
    })
}
