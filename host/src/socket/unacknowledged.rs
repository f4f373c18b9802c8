//! How much of what was written to a connection the other side has not acknowledged.
#![allow(unsafe_code, reason = "nothing safe asks the kernel for it")]

use std::os::fd::AsFd;

use rustix::ioctl::{self, Getter};

/// `SIOCOUTQ` (tcp(7)).
const SIOCOUTQ: ioctl::Opcode = 0x5411;

/// Bytes; as good as endless where the kernel does not say.
pub(super) fn bytes(stream: impl AsFd) -> usize {
    // SAFETY: the call takes a pointer to an int, and writes one there.
    let asked = unsafe { ioctl::ioctl(stream, Getter::<SIOCOUTQ, std::ffi::c_int>::new()) };
    asked.ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_not_taken_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert_eq!(bytes(&near), 0);
        near.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(taken) = near.write(&[0; 64 << 10]) {
            sent += taken;
        }
        assert!(bytes(&near) > 0, "of {sent} bytes that fill both sockets");
        let mut all = vec![0; sent];
        far.read_exact(&mut all).unwrap();
        while bytes(&near) > 0 {
            std::thread::yield_now();
        }
    }
}
