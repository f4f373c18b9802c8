//! Congestion control: how fast TCP sends.
//!
//! The choice is the system's, with one exception. BBR paces what it sends by timers, which is what
//! it is for on a path with a bottleneck; within one machine there is none, and the timers cost
//! more than all else that a bulk flow does (measured: 240 µs for a MiB against 90).

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::LazyLock;

use rustix::net::sockopt::set_tcp_congestion;
use socket2::{Domain, Protocol, Socket, Type};

/// What takes BBR's place within the machine: the one that every Linux has and lets everybody use.
const UNPACED: &str = "reno";

/// Whether the system's own choice sends by timers.
static PACES: LazyLock<bool> = LazyLock::new(|| setting("tcp_congestion_control").starts_with("bbr"));

/// Set it for a socket that is about to listen at, or connect to, `address`: the one of this name,
/// or the system's own.
///
/// # Errors
/// Whatever the system says of the name.
pub fn choose(socket: impl AsFd, name: Option<&str>, address: IpAddr) -> io::Result<()> {
    match name {
        Some(name) => Ok(set_tcp_congestion(socket, name)?),
        None => {
            if address.is_loopback() && *PACES {
                // Without it all works, only dearer.
                let _refused = set_tcp_congestion(socket, UNPACED);
            }
            Ok(())
        }
    }
}

/// Whether the system has it, and lets the proxy use it.
///
/// # Errors
/// Why not.
pub fn check(name: &str) -> Result<(), String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).map_err(|error| error.to_string())?;
    set_tcp_congestion(&socket, name).map_err(|error| match io::Error::from(error).kind() {
        io::ErrorKind::PermissionDenied => "may not be used by this user".to_owned(),
        io::ErrorKind::NotFound => "is not known to the system".to_owned(),
        other => format!("cannot be used: {other}"),
    })
}

fn setting(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::net::sockopt::tcp_congestion;

    use super::*;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap()
    }

    #[test]
    fn what_is_named_is_set_everywhere() {
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 1)] {
            let socket = socket();
            choose(&socket, Some("reno"), address.into()).unwrap();
            assert_eq!(tcp_congestion(&socket).unwrap(), "reno");
        }
        assert_eq!(
            choose(socket(), Some("none-such"), Ipv4Addr::LOCALHOST.into()).unwrap_err().raw_os_error(),
            Some(2)
        );
    }

    #[test]
    fn the_systems_own_stays_but_for_pacing_within_the_machine() {
        let own = setting("tcp_congestion_control").trim().to_owned();
        let (near, far) = (socket(), socket());
        choose(&near, None, Ipv4Addr::LOCALHOST.into()).unwrap();
        choose(&far, None, Ipv4Addr::new(192, 0, 2, 1).into()).unwrap();
        assert_eq!(tcp_congestion(&far).unwrap(), own);
        assert_eq!(tcp_congestion(&near).unwrap(), if own.starts_with("bbr") { "reno" } else { &own });
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert_eq!(check("reno"), Ok(()));
        assert_eq!(check("none-such").unwrap_err(), "is not known to the system");
    }
}
