//! Listening sockets: the one place where the proxy binds anything.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::socket::congestion;

/// Bind one worker's socket. Workers share the address by `SO_REUSEPORT`, so that the kernel
/// spreads connections and no worker waits for another. `congestion_control` is that of all
/// connections; none for the system's (see [`congestion`]).
///
/// # Errors
/// Whatever the system says: the address is in use, or is not ours.
pub fn bind(address: SocketAddr, backlog: u32, congestion_control: Option<&str>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // As nginx's `ipv6only=on`: `0.0.0.0` and `[::]` are two listeners.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit both: two system calls less for each connection.
    socket.set_tcp_nodelay(true)?;
    congestion::choose(&socket, congestion_control, address.ip())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Bind the socket of QUIC at an address. `buffer` bytes are asked for each way: the kernel gives
/// no more than `net.core.rmem_max` and `wmem_max`.
///
/// # Errors
/// Whatever the system says: the address is in use, or is not ours.
pub fn bind_udp(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // What the kernel gives is enough to begin with.
    let _less = (socket.set_recv_buffer_size(buffer), socket.set_send_buffer_size(buffer));
    socket.bind(&address.into())?;
    Ok(socket.into())
}
