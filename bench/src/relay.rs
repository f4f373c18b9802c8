//! The floor: a relay that opens the same two sockets and copies bytes, nothing else. One
//! thread of tokio, one buffer for all tunnels, none held while idle.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{ErrorKind, Result as IoResult};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context as Wakes, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
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

async fn relay(mut client: TcpStream, backend: SocketAddr) -> IoResult<()> {
    let mut server = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // As nginx: the end of either side ends both.
    tokio::select! {
        ended = copy(from_client, to_server) => ended,
        ended = copy(from_server, to_client) => ended,
    }
}

async fn copy(mut from: ReadHalf<'_>, to: WriteHalf<'_>) -> IoResult<()> {
    // `poll_read`, not `try_read`: a short read tells it that the socket is empty, which
    // saves the read that would only say so.
    while let Some(left) = poll_fn(|context| step(context, &mut from, &to)).await? {
        write_all(&to, &left).await?;
    }
    SockRef::from(to.as_ref()).shutdown(Shutdown::Write)
}

/// Read once and write what there is room for; returns the rest, none at the end.
fn step(context: &mut Wakes<'_>, from: &mut ReadHalf<'_>, to: &WriteHalf<'_>) -> Poll<IoResult<Option<Vec<u8>>>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(from).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(write_some(to, buffer.filled()).map(Some))
    })
}

/// Write what there is room for; returns the rest.
fn write_some(to: &WriteHalf<'_>, bytes: &[u8]) -> IoResult<Vec<u8>> {
    match to.try_write(bytes) {
        Ok(length) => Ok(bytes.get(length..).unwrap_or_default().to_vec()),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(bytes.to_vec()),
        Err(e) => Err(e),
    }
}

async fn write_all(to: &WriteHalf<'_>, bytes: &[u8]) -> IoResult<()> {
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
