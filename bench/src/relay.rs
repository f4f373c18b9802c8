//! The floor: a relay that opens the same two sockets and copies bytes, nothing else. One
//! thread of tokio, one buffer for all tunnels, none held while idle.

use std::cell::RefCell;
use std::io::{ErrorKind, Result as IoResult};
use std::net::{Shutdown, SocketAddr};

use tokio::net::{TcpListener, TcpStream};

use crate::backend::announce;
use crate::error::{Context as _, Result};
use crate::net;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Relay to `backend` until killed; prints the port on standard output first.
pub(crate) fn serve(backend: SocketAddr) -> Result<()> {
    let listener = net::listener()?;
    announce(&listener)?;
    listener.set_nonblocking(true).during("non-blocking mode")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().during("start tokio")?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).during("listen")?;
        loop {
            let (client, _) = listener.accept().await.during("accept")?;
            tokio::spawn(relay(client, backend));
        }
    })
}

async fn relay(client: TcpStream, backend: SocketAddr) -> IoResult<()> {
    let server = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // As nginx: the end of either side ends both.
    tokio::select! {
        ended = copy(&client, &server) => ended,
        ended = copy(&server, &client) => ended,
    }
}

async fn copy(from: &TcpStream, to: &TcpStream) -> IoResult<()> {
    loop {
        from.readable().await?;
        let left = SCRATCH.with_borrow_mut(|scratch| match from.try_read(scratch) {
            Ok(0) => Ok(None),
            Ok(length) => write_some(to, scratch.get(..length).unwrap_or_default()).map(Some),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Some(Vec::new())),
            Err(e) => Err(e),
        })?;
        let Some(left) = left else {
            return socket2::SockRef::from(to).shutdown(Shutdown::Write);
        };
        write_all(to, &left).await?;
    }
}

/// Write what there is room for; returns the rest.
fn write_some(to: &TcpStream, bytes: &[u8]) -> IoResult<Vec<u8>> {
    match to.try_write(bytes) {
        Ok(length) => Ok(bytes.get(length..).unwrap_or_default().to_vec()),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(bytes.to_vec()),
        Err(e) => Err(e),
    }
}

async fn write_all(to: &TcpStream, bytes: &[u8]) -> IoResult<()> {
    let mut bytes = bytes;
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
