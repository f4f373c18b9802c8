//! Reads and writes of TCP without the C library. Its calls are points where a thread may be
//! cancelled, which a process with threads pays for at each: 2.5 % of what a small message costs.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

/// Read into a buffer without room that was never written.
pub(super) fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    let room = buf.initialize_unfilled();
    let read = ready!(poll(stream, cx, Interest::READABLE, || {
        let (read, _) = recv(stream, &mut *room, RecvFlags::empty())?;
        Ok((read, read > 0 && read < room.len()))
    }))?;
    buf.advance(read);
    Poll::Ready(Ok(()))
}

/// Read behind what is there, as much as there is room for without more memory.
pub(super) fn poll_fill(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
    poll(stream, cx, Interest::READABLE, || {
        let room = buffer.capacity() - buffer.len();
        let (read, _) = recv(stream, spare_capacity(buffer), RecvFlags::empty())?;
        Ok((read, read > 0 && read < room))
    })
}

/// Read behind what is there before the kernel has told of anything: what a client sends at once is
/// there when its connection is accepted. None where nothing is.
pub(super) fn fill_untold(stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<io::Result<usize>> {
    untold(recv(stream, spare_capacity(buffer), RecvFlags::empty()).map(|(read, _)| read))
}

/// Write before the kernel has told that there is room: a connection that was just opened has some. None
/// where there is none.
pub(super) fn send_untold(stream: &TcpStream, bytes: &[u8]) -> Option<io::Result<usize>> {
    untold(send(stream, bytes, SendFlags::NOSIGNAL))
}

fn untold(called: rustix::io::Result<usize>) -> Option<io::Result<usize>> {
    match called {
        Err(Errno::WOULDBLOCK | Errno::INTR) => None,
        other => Some(other.map_err(Into::into)),
    }
}

/// Write what there is room for.
pub(super) fn poll_write(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    poll(stream, cx, Interest::WRITABLE, || {
        let written = send(stream, bytes, SendFlags::NOSIGNAL)?;
        Ok((written, written > 0 && written < bytes.len()))
    })
}

/// One call, where the kernel has told of `interest`. It says whether it came upon the end of what
/// there is: then the next waits for the kernel to tell of more, without asking, as it does after
/// calls of tokio's own.
fn poll<T>(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    interest: Interest,
    mut call: impl FnMut() -> io::Result<(T, bool)>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(if interest.is_readable() { stream.poll_read_ready(cx) } else { stream.poll_write_ready(cx) })?;
        let mut done = None;
        let told = stream.try_io(interest, || {
            let (what, was_all) = call()?;
            done = Some(what);
            if was_all { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (done, told) {
            (Some(what), _) => return Poll::Ready(Ok(what)),
            (None, Err(error)) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Poll::Ready(Err(error));
            }
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn what_is_written_is_read_to_the_end() {
        let (near, far) = pair().await;
        assert_eq!(poll_fn(|cx| poll_write(&near, cx, b"hello")).await.unwrap(), 5);
        let mut bytes = [0; 3];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|cx| poll_read(&far, cx, &mut buf)).await.unwrap();
        assert_eq!(buf.filled(), b"hel");
        let mut rest = Vec::with_capacity(100);
        rest.extend_from_slice(b"hel");
        assert_eq!(poll_fn(|cx| poll_fill(&far, cx, &mut rest)).await.unwrap(), 2);
        assert_eq!(rest, b"hello");
        assert!(poll_fill(&far, &mut Context::from_waker(Waker::noop()), &mut rest).is_pending());
        drop(near);
        assert_eq!(poll_fn(|cx| poll_fill(&far, cx, &mut rest)).await.unwrap(), 0);
        assert_eq!(poll_fn(|cx| poll_fill(&far, cx, &mut rest)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_there_is_read_before_it_is_told_of_and_what_comes_later_is_told_of() {
        let (near, far) = pair().await;
        let mut bytes = Vec::with_capacity(100);
        assert!(fill_untold(&far, &mut bytes).is_none());
        assert_eq!(send_untold(&near, b"hello").unwrap().unwrap(), 5);
        assert_eq!(fill_untold(&far, &mut bytes).unwrap().unwrap(), 5);
        assert!(poll_fill(&far, &mut Context::from_waker(Waker::noop()), &mut bytes).is_pending());
        assert_eq!(send_untold(&near, b", you").unwrap().unwrap(), 5);
        assert_eq!(poll_fn(|cx| poll_fill(&far, cx, &mut bytes)).await.unwrap(), 5);
        assert_eq!(bytes, b"hello, you");
        drop(near);
        assert_eq!(fill_untold(&far, &mut bytes).unwrap().unwrap(), 0);
        assert_eq!(poll_fn(|cx| poll_fill(&far, cx, &mut bytes)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_full_socket_is_waited_for_until_there_is_room() {
        let (near, far) = pair().await;
        let block = vec![7; 1 << 20];
        let mut sent = 0;
        while let Poll::Ready(written) = poll_fn(|cx| Poll::Ready(poll_write(&near, cx, &block))).await {
            sent += written.unwrap();
        }
        let reader = tokio::spawn(async move {
            let (mut got, mut buffer) = (0, Vec::with_capacity(1 << 16));
            while let read @ 1.. = poll_fn(|cx| poll_fill(&far, cx, &mut buffer)).await.unwrap() {
                got += read;
                buffer.clear();
            }
            got
        });
        sent += poll_fn(|cx| poll_write(&near, cx, &block)).await.unwrap();
        drop(near);
        assert_eq!(reader.await.unwrap(), sent);
    }

    #[tokio::test]
    async fn a_reset_is_an_error() {
        let (near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        let mut buffer = Vec::with_capacity(10);
        let error = poll_fn(|cx| poll_fill(&near, cx, &mut buffer)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = poll_fn(|cx| poll_write(&near, cx, b"x")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
