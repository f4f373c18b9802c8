//! Ports that are chosen before their listener is there.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// A port kept for a listener that binds with `SO_REUSEPORT`, as nginx (told so) and
/// Tidegate do. This socket is bound and does not listen, so nobody else is given the port,
/// and a connection to it is refused until the listener is there.
#[derive(Debug)]
pub struct HeldPort(Socket);

impl HeldPort {
    /// Take a free port of the loopback address.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        Self(socket)
    }

    /// Begin to listen there: with a socket of its own, so that the port stays taken when the
    /// listener is gone.
    pub fn listen(&self) -> TcpListener {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        socket.bind(&self.address().into()).expect("the address that is held");
        socket.listen(128).expect("listen");
        socket.into()
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound address")
    }
}

impl Default for HeldPort {
    fn default() -> Self {
        Self::new()
    }
}
